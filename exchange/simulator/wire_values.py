"""Decimals and times as the wire writes them: strings without an exponent, RFC 3339 in UTC with microseconds. Pure."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import overload

PRICE_SCALE = Decimal("0.000001")


@overload
def decimal_text(value: Decimal) -> str: ...
@overload
def decimal_text(value: None) -> None: ...
@overload
def decimal_text(value: Decimal | None) -> str | None: ...
def decimal_text(value: Decimal | None) -> str | None:
    """Plain digits: no exponent, no trailing zeros after the point."""
    if value is None:
        return None
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def average_text(value: Decimal | None) -> str | None:
    """Return an average price, rounded to six places as the broker does."""
    return None if value is None else decimal_text(value.quantize(PRICE_SCALE))


@overload
def time_text(value: datetime) -> str: ...
@overload
def time_text(value: None) -> None: ...
@overload
def time_text(value: datetime | None) -> str | None: ...
def time_text(value: datetime | None) -> str | None:
    """Return the time, always with six digits of the second, so that texts sort as times."""
    if value is None:
        return None
    return value.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_decimal(value: object) -> Decimal | None:
    """Return a finite number given as a JSON number or string, or None for other values."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = Decimal(str(value))
    except InvalidOperation:
        return None
    return parsed if parsed.is_finite() else None


def parse_time(text: str) -> datetime | None:
    """Return an RFC 3339 instant or date, or None; without a zone it is UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
