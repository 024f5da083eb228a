"""Text of clients and of the venue in a plain log begins no line and commands no terminal."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.observability.logs import get_logger
from tests.support.logs import raise_error, written_logs

FORGED = "12:00:00.000 [info     ] trading_resumed by=alice"
SEPARATORS = ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
COMMANDS = ["\x1b[2J", "\x1b]0;title\x07", "\x9b2J", "\x08", "\u202e", "\u200b", "\x00", "\udc9b"]


@pytest.mark.parametrize("text", [*SEPARATORS, *COMMANDS], ids=ascii)
def test_a_text_with_line_breaks_or_control_characters_is_escaped_everywhere(text: str) -> None:
    attack = f"x{text}{FORGED}"
    with written_logs("plain") as written:
        logging.getLogger("some.library").warning("asked for %s", attack)
        get_logger().warning(attack, error=attack, nested=[attack], **{attack: 1})
        get_logger().warning("odd", value=_Odd(attack))

    lines = written.getvalue().removesuffix("\n").split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("text", [*SEPARATORS, *COMMANDS], ids=ascii)
def test_an_exception_text_begins_no_line_of_the_log(text: str) -> None:
    with written_logs("plain") as written:
        try:
            raise_error(ValueError(f"bad{text}{FORGED}"))
        except ValueError:
            logging.getLogger("some.library").exception("it broke")

    first, *others = written.getvalue().removesuffix("\n").split("\n")
    assert "it broke" in first
    assert all(line.startswith("    ") and line.isprintable() for line in others)


@given(message=st.text(), value=st.text())
def test_a_line_of_a_log_is_one_line_for_any_content(message: str, value: str) -> None:
    for log_format in ("plain", "json"):
        with written_logs(log_format) as written:
            logging.getLogger("some.library").warning("%s", message, extra={"value": value})

        assert len(written.getvalue().splitlines()) == 1


def test_usual_text_of_other_languages_is_written_as_it_is() -> None:
    with written_logs("plain") as written:
        get_logger().warning("halted", reason="Größe 数量 عربى")

    assert "Größe 数量 عربى" in written.getvalue()


class _Odd:
    """A value whose repr() is what a client sent."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
