"""Every error of the domain, split by what the caller can do.

FillwireError
├── ClientInputError               the client's input is invalid; nothing was stored
│   ├── InvalidInputError           fields that break a rule, each with its path and code
│   │   └── InvalidOrderError       those of an order
│   ├── ClientOrderIdConflictError  the id is used by an order with other content
│   ├── ClientRequestIdConflictError  the id is used by a request with other content
│   ├── OrderDeniedError            a limit of ours: denied by us, before it was stored
│   ├── OrderNotFoundError          no such order in this account
│   ├── NotCancelableError          the order is already final
│   ├── InvalidLimitsError            values that cannot be limits, each with its field
│   ├── InvalidAccountError         the account rule refuses this id
│   └── NotHaltedError              trading is not halted there: there is nothing to resume
├── TransientError                   the same call may succeed later
│   ├── UnavailableError            the database cannot be reached; nothing was stored
│   ├── VersionConflictError             a concurrent writer changed the row: read again, decide again
│   ├── LimitsChangedError            the limits were changed since an order was checked: read again, check again
│   └── VenueUnreachableError       the venue returned no usable answer to a look-up
│       ├── VenueBusyError          too many requests: retry when it allows it
│       │   └── RequestHeldBackError  the shared rate limit left no request: none was made
│       ├── VenueNotConnectedError  there was no connection: no request was made
│       └── VenueUnauthorizedError         because of our key: people must fix it
├── LeadershipLostError             another process follows the venue's stream now: write nothing more, stand by
├── ExecutionIdTakenError           the venue used one execution id for two orders: store a dead letter, log an alert
└── HistoryGoneError                the requested changes are no longer stored: read a snapshot
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Self
from uuid import UUID

if TYPE_CHECKING:
    from domain.model.changes import OrderSnapshot
    from domain.model.limits import Denial, LimitUse

UNAVAILABLE_RETRY_AFTER_MS = 1_000


class IssueCode(StrEnum):
    """Stable codes of what can be wrong with a field."""

    REQUIRED = "REQUIRED"
    NOT_ALLOWED = "NOT_ALLOWED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    BAD_TICK = "BAD_TICK"
    BAD_LOT = "BAD_LOT"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    BAD_FORMAT = "BAD_FORMAT"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputIssue:
    """What is wrong with one field; `path` leads from the mutation's arguments to it."""

    path: tuple[str, ...]
    code: IssueCode
    message: str


class UnavailableReason(StrEnum):
    """The reason why the database stores nothing, in words without its address. Used by metrics and /readyz."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    """It lets us in no more: the login, the encryption or an option of the address."""
    BUSY = "busy"
    """It does not answer in time, or has no connection, lock or memory left."""
    READ_ONLY = "read only"
    """A standby, or one that was made read only, as managed services do when the disk is nearly full."""
    DISK_FULL = "disk full"
    FAILING = "failing"
    """It cannot read or write its files."""


class FillwireError(Exception):
    """The root of all."""


class ClientInputError(FillwireError):
    """The client's input is invalid; nothing was stored."""


class TransientError(FillwireError):
    """The same call may succeed later."""


class InvalidInputError(ClientInputError):
    """Fields that break a rule; every one of them, not only the first."""

    def __init__(self, issues: Sequence[InputIssue]) -> None:
        self.issues = tuple(issues)
        super().__init__("; ".join(f"{'.'.join(issue.path)}: {issue.message}" for issue in self.issues))


class InvalidOrderError(InvalidInputError):
    """Fields of an order that break a rule."""


class ClientOrderIdConflictError(ClientInputError):
    """The client order id is used by an order with other content."""

    def __init__(self, existing: "OrderSnapshot") -> None:
        self.existing = existing
        super().__init__(
            f"clientOrderId {existing.terms.client_order_id} was used before with other content; "
            "choose a new one for a new intent"
        )


class ClientRequestIdConflictError(ClientInputError):
    """The client request id is used by a request with other content."""

    def __init__(self, client_request_id: str) -> None:
        super().__init__(
            f"clientRequestId {client_request_id} was used before for this order with other content; "
            "choose a new one for a new intent"
        )


class OrderDeniedError(ClientInputError):
    """Denied by us before it is stored. `path` leads to the field that is to blame, `use` says how far a limit goes;
    either is None where there is none."""

    def __init__(
        self, *, code: str, message: str, path: tuple[str, ...] | None = None, use: "LimitUse | None" = None
    ) -> None:
        self.code = code
        self.path = path
        self.use = use
        super().__init__(message)

    @classmethod
    def by(cls, denial: "Denial") -> Self:
        """Return the error that a limit gives."""
        return cls(code=denial.code, message=denial.message, path=denial.path, use=denial.use)


class OrderNotFoundError(ClientInputError):
    """No such order in this account; it does not disclose whether another account has it."""

    def __init__(self) -> None:
        super().__init__("There is no such order.")


class NotCancelableError(ClientInputError):
    """The order is already final."""

    def __init__(self, order: "OrderSnapshot") -> None:
        self.order = order
        super().__init__(f"The order is {order.status}: there is nothing left to cancel.")


class InvalidLimitsError(ClientInputError):
    """Values that cannot be limits. `wrong`: a sentence for each field, by its name."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        self.wrong = dict(wrong)
        super().__init__("; ".join(f"{name}: {sentence}" for name, sentence in self.wrong.items()))


class InvalidAccountError(ClientInputError):
    """The id is not allowed for an account: ACCOUNT_PATTERN does not match it, and nothing is stored under it."""

    def __init__(self, account_id: str) -> None:
        shown = json.dumps(account_id, ensure_ascii=False)
        super().__init__(f"{shown} cannot be an account's id here (ACCOUNT_PATTERN), and no such account is known.")


class NotHaltedError(ClientInputError):
    """There is no open halt of that account, or (None) of all accounts."""

    def __init__(self, account_id: str | None) -> None:
        whom = "all accounts" if account_id is None else f"account {account_id}"
        super().__init__(f"Trading is not halted for {whom}.")


class UnavailableError(TransientError):
    """The database cannot be reached or written, or does not answer in time.

    Nothing was stored, or a repeat will find it. `message` is for clients; the text of the error, for logs, has the
    reason. `sqlstate` is PostgreSQL's code, if any.
    """

    def __init__(
        self,
        message: str = "Orders cannot be stored at the moment. Try again with the same clientOrderId.",
        *,
        reason: UnavailableReason = UnavailableReason.BUSY,
        sqlstate: str = "",
    ) -> None:
        self.message = message
        self.reason = reason
        self.sqlstate = sqlstate
        self.retry_after_ms = UNAVAILABLE_RETRY_AFTER_MS
        super().__init__(f"the database is {reason}" + (f" (SQLSTATE {sqlstate})" if sqlstate else ""))


class VersionConflictError(TransientError):
    """An order changed between reading and writing: read again, decide again."""

    def __init__(self) -> None:
        super().__init__("the order changed since it was read")


class LimitsChangedError(TransientError):
    """The account's limits were changed since the order was checked: read them again, check again."""

    def __init__(self) -> None:
        super().__init__("the limits were changed since the order was checked")


class VenueUnreachableError(TransientError):
    """The venue returned no usable answer to a look-up. A look-up changes nothing there, so it may be repeated."""


class LeadershipLostError(FillwireError):
    """Another process follows the venue's stream, or may do so now. Nothing was written."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        super().__init__(f"the leadership of epoch {epoch} is over")


class VenueBusyError(VenueUnreachableError):
    """Too many requests; `retry_after` is the pause that the venue requests."""

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class RequestHeldBackError(VenueBusyError):
    """The shared rate limit left no request in time: none was made."""


class VenueNotConnectedError(VenueUnreachableError):
    """There was no connection to the venue: no request was made."""


class VenueUnauthorizedError(VenueUnreachableError):
    """The venue does not accept our key; no order is to blame."""


class ExecutionIdTakenError(FillwireError):
    """Executions that belong to other orders already; nothing was written. `owners`: their orders, by execution id."""

    def __init__(self, owners: Mapping[str, UUID]) -> None:
        self.owners = owners
        named = ", ".join(f"{execution_id} of order {order_id}" for execution_id, order_id in owners.items())
        super().__init__(f"the venue's execution id is another order's already: {named}")


class HistoryGoneError(FillwireError):
    """The requested changes are no longer stored."""

    def __init__(self) -> None:
        super().__init__("the requested changes are no longer stored")
