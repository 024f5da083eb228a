"""Cursors: opaque to clients, a small versioned text inside, checked when read.

Each kind of list has its own letter, and a cursor of orders names its sort: a cursor used for another list is refused,
never misread.
"""

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.model.accounts import is_account_id
from domain.model.changes import OrderSnapshot
from domain.model.order_query import OrderKey, OrderSort
from domain.model.values import is_isin
from graph.errors import ClientError

CURSOR_MAX_CHARACTERS = 700
"""An account's id of 128 characters of four bytes each is the longest that is in one."""
VERSION_MAX = 2**31 - 1
"""The largest Int of GraphQL, and of the column that versions are kept in."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UUID_HEX = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NATURAL = re.compile(r"[0-9]{1,18}", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def write_order_cursor(order: OrderSnapshot, sort: OrderSort) -> str:
    """Return the cursor of an order in a list of that sort."""
    at = order.updated_at if sort is OrderSort.UPDATED_DESC else order.created_at
    return write_key_cursor(OrderKey(at=at, id=order.id), sort)


def write_key_cursor(key: OrderKey, sort: OrderSort) -> str:
    """Return the cursor of a position in a list of that sort."""
    return _encode("o1", sort, str((key.at - _EPOCH) // _MICROSECOND), key.id.hex)


def read_order_cursor(cursor: str, sort: OrderSort) -> OrderKey:
    """Return the key in a cursor of orders; raise BAD_CURSOR, also for a cursor of another sort."""
    written_sort, microseconds, order_id = _decode(cursor, "o1", 3)
    if written_sort != sort or not _INTEGER.fullmatch(microseconds) or not _UUID_HEX.fullmatch(order_id):
        raise _bad_cursor()
    try:
        return OrderKey(at=_EPOCH + int(microseconds) * _MICROSECOND, id=UUID(hex=order_id))
    except OverflowError:
        raise _bad_cursor() from None


def write_execution_cursor(execution_id: UUID) -> str:
    """Return the cursor of an execution in its order's list."""
    return _encode("x1", execution_id.hex)


def read_execution_cursor(cursor: str) -> UUID:
    """Return the execution's id; raise BAD_CURSOR."""
    (execution_id,) = _decode(cursor, "x1", 1)
    if not _UUID_HEX.fullmatch(execution_id):
        raise _bad_cursor()
    return UUID(hex=execution_id)


def write_history_cursor(version: int) -> str:
    """Return the cursor of a change in its order's history."""
    return _encode("h1", str(version))


def read_history_cursor(cursor: str) -> int:
    """Return the version; raise BAD_CURSOR."""
    version = _read_natural(cursor, "h1")
    if version > VERSION_MAX:
        raise _bad_cursor()
    return version


def write_instrument_cursor(isin: str) -> str:
    """Return the cursor of an instrument."""
    return _encode("i1", isin)


def read_instrument_cursor(cursor: str) -> str:
    """Return the ISIN; raise BAD_CURSOR."""
    (isin,) = _decode(cursor, "i1", 1)
    if not is_isin(isin):
        raise _bad_cursor()
    return isin


def write_account_cursor(account_id: str) -> str:
    """Return the cursor of an account in the list of accounts."""
    return _encode("a1", account_id)


def read_account_cursor(cursor: str) -> str:
    """Return the account's id; raise BAD_CURSOR."""
    (account_id,) = _decode(cursor, "a1", 1)
    if not is_account_id(account_id):
        raise _bad_cursor()
    return account_id


def write_halt_cursor(halt_id: UUID) -> str:
    """Return the cursor of a halt in the trail."""
    return _encode("t1", halt_id.hex)


def read_halt_cursor(cursor: str) -> UUID:
    """Return the halt's id; raise BAD_CURSOR."""
    (halt_id,) = _decode(cursor, "t1", 1)
    if not _UUID_HEX.fullmatch(halt_id):
        raise _bad_cursor()
    return UUID(hex=halt_id)


def write_action_cursor(sequence: int) -> str:
    """Return the cursor of an operator's action in the audit trail."""
    return _encode("p1", str(sequence))


def read_action_cursor(cursor: str) -> int:
    """Return the sequence; raise BAD_CURSOR."""
    return _read_natural(cursor, "p1")


def write_stream_cursor(sequence: int) -> str:
    """Return the cursor of a position in the account's stream of changes."""
    return _encode("s1", str(sequence))


def read_stream_cursor(cursor: str) -> int:
    """Return the sequence; raise BAD_CURSOR."""
    return _read_natural(cursor, "s1")


def _read_natural(cursor: str, kind: str) -> int:
    (number,) = _decode(cursor, kind, 1)
    if not _NATURAL.fullmatch(number):
        raise _bad_cursor()
    return int(number)


def _encode(*parts: str) -> str:
    return base64.urlsafe_b64encode(":".join(parts).encode()).decode("ascii").rstrip("=")


def _decode(cursor: str, kind: str, count: int) -> tuple[str, ...]:
    if len(cursor) > CURSOR_MAX_CHARACTERS:
        raise _bad_cursor()
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error):
        raise _bad_cursor() from None
    # The last part may contain colons: an account's id.
    written_kind, *parts = text.split(":", count)
    if written_kind != kind or len(parts) != count:
        raise _bad_cursor()
    return tuple(parts)


def _bad_cursor() -> ClientError:
    return ClientError(code="BAD_CURSOR", message="This cursor was not given for this list. Start without one.")
