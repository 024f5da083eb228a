"""The order of statuses and the valid steps back from one to another. Property tests check every change by them."""

from collections.abc import Mapping

from domain.model.changes import ChangeKind
from domain.model.order import OrderStatus

_LIVE_AGAIN = frozenset({OrderStatus.PLACED, OrderStatus.PENDING_CANCEL})
# Only an operator ends a filled order without a report of the venue.
_LIVE_OR_FILLED = _LIVE_AGAIN | {OrderStatus.PARTIALLY_FILLED}

STEPS_BACK: Mapping[tuple[OrderStatus | None, ChangeKind], frozenset[OrderStatus]] = {
    # A refused cancel request restores the status before it.
    (OrderStatus.PENDING_CANCEL, ChangeKind.CANCEL_REFUSED): frozenset(
        {OrderStatus.PENDING, OrderStatus.IN_DOUBT, OrderStatus.PLACED, OrderStatus.PARTIALLY_FILLED}
    ),
    # A report of the venue outranks a refusal in an answer, giving up, a cancellation before sending, and an end by an
    # operator before it.
    (OrderStatus.REJECTED, ChangeKind.REVIVED): _LIVE_AGAIN,
    (OrderStatus.FAILED, ChangeKind.REVIVED): _LIVE_AGAIN,
    (OrderStatus.CANCELED, ChangeKind.REVIVED): _LIVE_OR_FILLED,
    (OrderStatus.EXPIRED, ChangeKind.REVIVED): _LIVE_OR_FILLED,
    # An order that we canceled before sending, and of which the venue shows only that it ended.
    (OrderStatus.CANCELED, ChangeKind.PLACED): frozenset({OrderStatus.REJECTED}),
    (OrderStatus.CANCELED, ChangeKind.EXPIRED): frozenset({OrderStatus.EXPIRED}),
    # The venue states another end than the operator did.
    (OrderStatus.CANCELED, ChangeKind.REJECTED): frozenset({OrderStatus.REJECTED}),
    (OrderStatus.EXPIRED, ChangeKind.REJECTED): frozenset({OrderStatus.REJECTED}),
    # A bust or a correction reduces the quantity, in any status (None matches any).
    (None, ChangeKind.CORRECTED): frozenset(OrderStatus),
    # An operator decides by the venue's statement; only a later report of the venue outranks that.
    (None, ChangeKind.RESOLVED): frozenset(OrderStatus),
    # A restatement may raise the quantity above what filled the order until then.
    (OrderStatus.FILLED, ChangeKind.RESTATED): frozenset(
        {OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING_CANCEL, OrderStatus.EXPIRED, OrderStatus.CANCELED}
    ),
}
"""The valid steps back: (status before, kind of change) to the statuses after. Every other step goes up."""

PROGRESS: Mapping[OrderStatus, int] = {
    OrderStatus.PENDING: 0,
    OrderStatus.IN_DOUBT: 1,
    OrderStatus.PLACED: 2,
    OrderStatus.PARTIALLY_FILLED: 3,
    OrderStatus.PENDING_CANCEL: 4,
    OrderStatus.FAILED: 5,
    OrderStatus.REJECTED: 5,
    OrderStatus.EXPIRED: 6,
    OrderStatus.CANCELED: 7,
    OrderStatus.FILLED: 8,
}
"""The rank of each status; a change never lowers it, except for STEPS_BACK."""
