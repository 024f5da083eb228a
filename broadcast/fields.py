"""Reads the values of a message, each within bounds: valid values can be used in calculations, compared and shown.
Pure.

Each function raises one of SHAPE_ERRORS for anything else. The messages are signed, so this detects our own errors and
values of newer releases; none of them may end a subscriber's stream.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from broadcast.envelope import SEQUENCE_MAX

TEXT_MAX_CHARACTERS = 10_000
"""The longest text that the database stores in an order has 2,000."""
DECIMAL_MAX_CHARACTERS = 128

# Powers of ten. Quantities and prices have at most 18 digits on each side of the point, filled quantities are sums of
# them, notionals sums of products. A quotient of two within these bounds still fits into `average_price`.
_SMALLEST, _LARGEST = -18, 23
_NOTIONAL_SMALLEST, _NOTIONAL_LARGEST = -36, 41


def read_decimal(text: object) -> Decimal:
    """Read a quantity or a price."""
    return _bounded(text, smallest=_SMALLEST, largest=_LARGEST)


def read_notional(text: object) -> Decimal:
    """Read a sum of quantities times prices."""
    return _bounded(text, smallest=_NOTIONAL_SMALLEST, largest=_NOTIONAL_LARGEST)


def read_time(text: str) -> datetime:
    """Read an aware time, in UTC."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with its zone, not {text!r}")
    # As it is written here, but by a process of another zone.
    return moment.astimezone(UTC)


def read_text(value: object) -> str:
    """Read a text of a bounded length."""
    if not isinstance(value, str):
        raise TypeError(f"expected a text, not {value!r}")
    if len(value) > TEXT_MAX_CHARACTERS:
        raise ValueError(f"expected a text of at most {TEXT_MAX_CHARACTERS} characters, not {len(value)}")
    return value


def read_count(value: object) -> int:
    """Read a sequence, a version or a count."""
    # Not isinstance: True is an int.
    if type(value) is not int or not 0 <= value <= SEQUENCE_MAX:
        raise TypeError(f"expected a number from 0 to {SEQUENCE_MAX}, not {value!r}")
    return value


def optional(read: Callable[[Any], Any], value: object) -> Any:  # noqa: ANN401 - the type is that of `read`
    """Read a value that may be null."""
    return None if value is None else read(value)


def _bounded(text: object, *, smallest: int, largest: int) -> Decimal:
    if not isinstance(text, str) or len(text) > DECIMAL_MAX_CHARACTERS:
        raise TypeError(f"expected a decimal as a text of at most {DECIMAL_MAX_CHARACTERS} characters")
    value = Decimal(text)
    if not (value.is_finite() and smallest <= value.adjusted() <= largest):
        raise ValueError(f"expected a finite decimal of a usual size, not {text}")
    return value
