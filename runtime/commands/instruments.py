"""`python -m runtime instruments sync | import FILE.csv`: load what can be traded, from the venue or from a file."""

import csv
from collections.abc import Iterator
from pathlib import Path

from domain.model.errors import FillwireError
from domain.model.values import Instrument, is_isin, parse_decimal
from runtime.processes.lifecycle import Process, ProcessMain
from runtime.resources.database import open_database
from runtime.resources.venue import open_venue

REQUIRES = ("database_url",)
COLUMNS = ("isin", "symbol", "name", "currency", "tick_size", "lot_size", "tradable")
INSTRUMENTS_PER_WRITE_MAX = 1_000


class InstrumentImportError(FillwireError):
    """The file cannot be imported; none of it was stored."""


async def sync(process: Process) -> None:
    """Store the venue's assets that have an ISIN. Raises VenueUnreachableError and UnavailableError."""
    async with open_database(process) as database, open_venue(process, database) as venue:
        found = await venue.instruments()
        changed = await database.catalog.save(found)
    process.telemetry.info("instruments_synced", found=len(found), changed=changed)


def importing(file: Path) -> ProcessMain:
    """Return the main function that stores the instruments of a CSV file, all or nothing."""

    async def run(process: Process) -> None:
        instruments = list(read_instruments(file))
        changed = 0
        async with open_database(process) as database:
            for start in range(0, len(instruments), INSTRUMENTS_PER_WRITE_MAX):
                changed += await database.catalog.save(instruments[start : start + INSTRUMENTS_PER_WRITE_MAX])
        process.telemetry.info("instruments_imported", found=len(instruments), changed=changed)

    return run


def read_instruments(file: Path) -> Iterator[Instrument]:
    """Yield the instruments of a CSV file with the columns of COLUMNS.

    Raises InstrumentImportError that names the line and what is wrong with it.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        missing = set(COLUMNS) - set(rows.fieldnames or ())
        if missing:
            raise InstrumentImportError(f"{file}: the columns {', '.join(sorted(missing))} are missing")
        for row in rows:
            try:
                yield _instrument(row)
            except ValueError as error:
                raise InstrumentImportError(f"{file}, line {rows.line_num}: {error}") from None


def _instrument(row: dict[str, str]) -> Instrument:
    if not is_isin(row["isin"]):
        raise ValueError(f"{row['isin']!r} is not an ISIN")
    if row["tradable"].lower() not in {"true", "false"}:
        raise ValueError(f"tradable must be true or false, not {row['tradable']!r}")
    steps = {name: parse_decimal(row[name]) for name in ("tick_size", "lot_size")}
    if min(steps.values()) <= 0:
        raise ValueError("tick_size and lot_size must be more than zero")
    return Instrument(
        isin=row["isin"],
        symbol=row["symbol"],
        name=row["name"],
        currency=row["currency"],
        tradable=row["tradable"].lower() == "true",
        **steps,
    )
