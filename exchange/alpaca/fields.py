"""Reads single fields of the venue's JSON: texts, decimals, times, ids. Pure; raises WireError for invalid ones.

It is independent of messages: which fields belong together is in `orders`, `events` and `assets`.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

import orjson

from domain.model.order_identity import InstallationPrefixes
from domain.model.values import DECIMAL_DIGITS, EXACT, ZERO

TEXT_MAX_CHARACTERS = 4096
ID_MAX_CHARACTERS = 128
"""As much as a row can hold of an order's or an execution's name; the broker's own are 36 long."""
NUMBERS_CACHED_MAX = 8_192

Json = Mapping[str, object]

_DOTS = frozenset({".", ".."})

# Nearly all numbers have this form; no other check is needed then.
_PLAIN_NUMBER = re.compile(rf"[0-9]{{1,{DECIMAL_DIGITS}}}(\.[0-9]{{1,{DECIMAL_DIGITS}}})?", re.ASCII)
# The broker's Python SDK sends JSON numbers, which may be returned as 1e-07.
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class WireError(ValueError):
    """A message or a part of it does not conform to the protocol."""


def parse_json(raw: bytes) -> object:
    """Read JSON, perhaps behind a byte order mark (RFC 8259, section 8.1), or raise WireError."""
    try:
        return orjson.loads(raw.removeprefix(BOM_UTF8))
    except orjson.JSONDecodeError as error:
        raise WireError(f"not JSON: {error}") from None


def as_object(value: object, *, what: str) -> Json:
    """Return the value as a JSON object."""
    if not isinstance(value, dict):
        raise WireError(f"{what} is not an object")
    return value


def as_list(value: object, *, what: str) -> list[object]:
    """Return the value as a JSON array."""
    if not isinstance(value, list):
        raise WireError(f"{what} is not an array")
    return value


def text(data: Json, key: str) -> str:
    """Return a text that is present and not empty."""
    value = data.get(key)
    # Nearly all have this form; others are checked again.
    if type(value) is str and value and is_storable(value):
        return value
    stated = optional_text(data, key)
    if not stated:
        raise WireError(f"{key} is missing or not a text")
    return stated


def optional_text(data: Json, key: str) -> str | None:
    """Return a text, or None where it is absent, null, empty or something else."""
    value = data.get(key)
    if not isinstance(value, str) or not value:
        return None
    if not is_storable(value):
        raise WireError(f"{key} is too long, or holds what no database stores")
    return value


def is_storable(value: str) -> bool:
    """Whether a text is short enough, and can be stored."""
    return len(value) <= TEXT_MAX_CHARACTERS and "\0" not in value


def venue_id(data: Json, key: str) -> str:
    """Return the venue's id of an order or an execution: one that can be stored, and looked up."""
    return as_venue_id(text(data, key), what=key)


def as_venue_id(written: str, *, what: str) -> str:
    """Return the text as such an id."""
    if not 0 < len(written) <= ID_MAX_CHARACTERS:
        raise WireError(f"{what} is no name of 1 to {ID_MAX_CHARACTERS} characters")
    if written in _DOTS:
        raise WireError(f"{what} would name another resource in a path")
    return written


def decimal(data: Json, key: str) -> Decimal:
    """Return an exact number given as text or as a JSON number, with at most 18 digits on each side of the point."""
    value = data.get(key)
    # Nearly all have this form.
    if type(value) is str and (plain := plain_number(value)) is not None:
        return plain
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WireError(f"{key} is missing or not a number")
    written = str(value)
    if _NUMBER.fullmatch(written) is None:
        raise WireError(f"{key} is not a decimal number")
    # Exactly, since the usual context rounds to 28 digits; and without trailing zeros, which may exceed a column's
    # digits.
    number = Decimal(written).normalize(EXACT)
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "the pattern matches only finite numbers"  # noqa: S101 - only a bug could break it
    if -exponent > DECIMAL_DIGITS or len(digits) + exponent > DECIMAL_DIGITS:
        raise WireError(f"{key} has more than {DECIMAL_DIGITS} digits on one side of the point")
    return number


@lru_cache(maxsize=NUMBERS_CACHED_MAX)
def plain_number(written: str) -> Decimal | None:
    """Return a number of digits, perhaps with a point, the form of nearly all; None for all others.

    Cached, because the same quantities and prices occur repeatedly.
    """
    return Decimal(written) if _PLAIN_NUMBER.fullmatch(written) is not None else None


def positive(data: Json, key: str) -> Decimal:
    """Return a number above zero."""
    number = decimal(data, key)
    if number <= ZERO:
        raise WireError(f"{key} is not above zero")
    return number


def not_negative(data: Json, key: str) -> Decimal:
    """Return a number that is zero or above."""
    number = decimal(data, key)
    if number < ZERO:
        raise WireError(f"{key} is below zero")
    return number


def moment(data: Json, key: str) -> datetime:
    """Return an RFC 3339 time as aware UTC, truncated to microseconds."""
    written = text(data, key)
    try:
        return read_moment(written)
    except WireError as error:
        raise WireError(f"{key} {error}") from None


def read_moment(written: str) -> datetime:
    """Return the same for a text. Raises WireError."""
    if _RFC3339.fullmatch(written) is None:
        raise WireError("is not an RFC 3339 time")
    try:
        stated = datetime.fromisoformat(written.upper())
        return stated if stated.tzinfo is UTC else stated.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WireError("is not a time that exists") from None


def first_moment(data: Json, *keys: str) -> datetime:
    """Return the first of several times that is present."""
    for key in keys:
        if data.get(key) is not None:
            return moment(data, key)
    raise WireError(f"none of {', '.join(keys)} is given")


def write_moment(value: datetime) -> str:
    """Return the time in the venue's form: RFC 3339 in UTC with microseconds."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def own_id(client_order_id: str | None, prefixes: InstallationPrefixes) -> str | None:
    """Return the venue's client order id if it is of an order of ours; None for an external order, or without one."""
    if client_order_id is None or len(client_order_id) > ID_MAX_CHARACTERS or not prefixes.is_ours(client_order_id):
        return None
    return client_order_id
