"""Classifies a failure of the database for the caller: retry immediately, retry later, or an error in the code."""

import ssl

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.model.errors import UnavailableError, UnavailableReason

READ_ONLY = "25006"
"""read_only_sql_transaction: a standby, as the primary is after a fail-over, or a server that was made read only."""
DISK_FULL = "53100"

_RETRY_AT_ONCE = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
    }
)
_TRY_LATER = frozenset(
    {
        READ_ONLY,
        "25P03",  # idle_in_transaction_session_timeout
        "55P03",  # lock_not_available: lock_timeout
        "57014",  # query_canceled: statement_timeout
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now: it starts or stops
        "57P05",  # idle_session_timeout
    }
)
_TRY_LATER_CLASSES = frozenset(
    {
        "08",  # connection exceptions
        "53",  # too many connections, out of memory, disk full
        "58",  # system errors: I/O
    }
)
_BUSY = ("40", "53", "55P03", "57014")
_FAILING = "58"


class ServerRefusalError(Exception):
    """The server answers, and refuses the connection: because of the login, the encryption, or an option of the
    address.
    """

    def __init__(self, text: str, *, sqlstate: str) -> None:
        self.sqlstate = sqlstate
        super().__init__(text)


def is_worth_repeating(error: Exception) -> bool:
    """Whether the database undid the statement for the sake of another one: the same again may well succeed."""
    return sqlstate(error) in _RETRY_AT_ONCE


def is_unavailability(error: Exception) -> bool:
    """Whether the database cannot be reached, is overloaded, or did not answer in time."""
    if isinstance(error, OSError | PoolTimeoutError | ServerRefusalError | asyncpg.InterfaceError):
        # asyncpg's errors about a URL are InterfaceErrors too: waiting does not fix those.
        return not isinstance(error, ValueError)
    if isinstance(error, asyncpg.InternalClientError):
        # A pooled connection on which the server has sent its last message, without a close so far: asyncpg does not
        # treat it as closed, and cannot use it.
        return True
    if isinstance(error, DBAPIError) and (error.connection_invalidated or isinstance(error.orig, OSError)):
        return True
    state = sqlstate(error)
    return state in _RETRY_AT_ONCE or state in _TRY_LATER or state[:2] in _TRY_LATER_CLASSES


def unavailable(error: Exception | None) -> UnavailableError:
    """Return the domain's error for a failure that `is_unavailability`; None is a missing answer."""
    if error is None:
        return UnavailableError(reason=UnavailableReason.BUSY)
    return UnavailableError(reason=_reason(error), sqlstate=sqlstate(error))


def _reason(error: Exception) -> UnavailableReason:
    state = sqlstate(error)
    if state == READ_ONLY:
        return UnavailableReason.READ_ONLY
    if state == DISK_FULL:
        return UnavailableReason.DISK_FULL
    if state.startswith(_FAILING):
        return UnavailableReason.FAILING
    if state.startswith(_BUSY) or isinstance(error, PoolTimeoutError):
        return UnavailableReason.BUSY
    if isinstance(error, ServerRefusalError | ssl.SSLError):
        return UnavailableReason.REFUSED
    return UnavailableReason.UNREACHABLE


def sqlstate(error: Exception) -> str:
    """Return the SQLSTATE of asyncpg's own error, or of one that SQLAlchemy wrapped; empty without one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""
