"""Instruments from a file: what is accepted, and what is refused with its line."""

from pathlib import Path

import pytest

from runtime.commands.instruments import InstrumentImportError, read_instruments

HEADER = "isin,symbol,name,currency,tick_size,lot_size,tradable\n"
APPLE = "US0378331005,AAPL,Apple Inc.,USD,0.01,1,true\n"


def _file(folder: Path, *, text: str) -> Path:
    path = folder / "instruments.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_instruments_is_read_exactly(tmp_path: Path) -> None:
    [apple] = read_instruments(_file(tmp_path, text=HEADER + APPLE))

    assert (apple.isin, apple.symbol, str(apple.tick_size), apple.tradable) == ("US0378331005", "AAPL", "0.01", True)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("US0378331006,AAPL,Apple,USD,0.01,1,true\n", "line 3: 'US0378331006' is not an ISIN"),
        ("US5949181045,MSFT,Microsoft,USD,0,1,true\n", "line 3: tick_size and lot_size must be more than zero"),
        ("US5949181045,MSFT,Microsoft,USD,1e-2,1,true\n", "line 3: expected a decimal"),
        ("US5949181045,MSFT,Microsoft,USD,0.01,1,maybe\n", "line 3: tradable must be true or false"),
    ],
)
def test_a_line_that_cannot_be_taken_is_named_with_its_reason(tmp_path: Path, line: str, complaint: str) -> None:
    path = _file(tmp_path, text=HEADER + APPLE + line)

    with pytest.raises(InstrumentImportError, match=complaint):
        list(read_instruments(path))


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, text="isin,symbol\nUS0378331005,AAPL\n")

    with pytest.raises(
        InstrumentImportError, match="the columns currency, lot_size, name, tick_size, tradable are missing"
    ):
        list(read_instruments(path))
