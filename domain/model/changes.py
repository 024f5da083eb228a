"""A change: one step of one order, with the order right after it.

Changes are stored in the history, published, and sent to subscribers: each one exactly once, in the order of the
account's sequence.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from domain.model.executions import Execution
from domain.model.facts import End, Facts
from domain.model.frozen import frozen
from domain.model.order import Order, OrderStatus, derive_reason, leaves_quantity
from domain.model.restatement import Restatement
from domain.model.values import Reason, Terms, average_price
from domain.model.venue_chain import chain_of, filled_of


class ChangeKind(StrEnum):
    """What happened to the order; the names of the public schema."""

    RECEIVED = "RECEIVED"
    PLACEMENT_IN_DOUBT = "PLACEMENT_IN_DOUBT"
    PLACED = "PLACED"
    FILL = "FILL"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCEL_REFUSED = "CANCEL_REFUSED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    CORRECTED = "CORRECTED"
    REVIVED = "REVIVED"
    RESTATED = "RESTATED"
    RESOLVED = "RESOLVED"


class Anomaly(StrEnum):
    """An unexpected report. It never stops an order; it is counted, logged, and checked by people."""

    OVERFILL = "OVERFILL"
    MISSED_FILL = "MISSED_FILL"
    FILL_AFTER_END = "FILL_AFTER_END"
    SEVERAL_ENDS = "SEVERAL_ENDS"
    EXECUTION_ID_REUSED = "EXECUTION_ID_REUSED"
    UNKNOWN_EXECUTION_AMENDED = "UNKNOWN_EXECUTION_AMENDED"
    MISSED_AMENDMENT = "MISSED_AMENDMENT"
    VENUE_ORDER_ID_CHANGED = "VENUE_ORDER_ID_CHANGED"


@frozen
class PlacementState:
    """The state of placing, for people. It is bookkeeping: it changes without a new version of the order."""

    attempts: int = 0
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    last_error: str | None = None


@frozen
class OrderSnapshot:
    """An order as shown to people at one version: the content of a history row, a message and an answer.

    `terms` are the original ones; `current_terms` are shown. `venue_filled_quantity` is the venue's count when the
    order ended or was amended last.
    """

    id: UUID
    account_id: str
    terms: Terms
    status: OrderStatus
    filled_quantity: Decimal
    notional: Decimal
    reason: Reason | None
    venue_order_id: str | None
    placement: PlacementState
    version: int
    created_at: datetime
    updated_at: datetime
    venue_filled_quantity: Decimal | None = None
    restatement: Restatement | None = None

    @property
    def current_terms(self) -> Terms:
        """Return the terms at this version: the original ones, unless the venue had restated them."""
        return self.terms if self.restatement is None else self.restatement.applied_to(self.terms)

    @property
    def lacks_fills(self) -> bool:
        """Return whether the order is final and the venue counts more as filled than is recorded: the fill is being
        looked up.
        """
        counted = self.venue_filled_quantity
        return counted is not None and self.status.is_final and counted > self.filled_quantity

    @property
    def is_settled(self) -> bool:
        """Return whether the order is final and nothing is known to be missing."""
        return self.status.is_final and not self.lacks_fills

    @property
    def average_price(self) -> Decimal | None:
        """Notional divided by filled quantity; None before the first fill."""
        return average_price(notional=self.notional, quantity=self.filled_quantity)

    @property
    def leaves_quantity(self) -> Decimal:
        """What can still fill: zero once the order is final."""
        quantity = self.terms.quantity if self.restatement is None else self.restatement.quantity
        return leaves_quantity(status=self.status, quantity=quantity, filled_quantity=self.filled_quantity)


@frozen
class VenueOrderView:
    """A venue order of one of ours, as shown to people. `venue_order_id` is None until the venue reports it.

    `venue_status` is the venue's status of its end, and None while it is not known to have ended.
    """

    venue_order_id: str | None
    venue_client_order_id: str
    filled_quantity: Decimal
    venue_status: str | None = None
    replaces: str | None = None
    ended_at: datetime | None = None


@frozen
class Change:
    """One effective change, before it has a place in its account's sequence."""

    kind: ChangeKind
    order: Order
    execution: Execution | None = None


@frozen
class ExecutionView:
    """An execution as shown in a change: its value at that time."""

    id: UUID
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    received_at: datetime


@frozen
class RecordedChange:
    """A committed change: its position in the account's gapless sequence, and the order after it."""

    sequence: int
    kind: ChangeKind
    at: datetime
    order: OrderSnapshot
    execution: ExecutionView | None


def snapshot(order: Order, *, placement: PlacementState) -> OrderSnapshot:
    """Return the order as shown to people, from its facts."""
    status, facts = order.status, order.whole
    return OrderSnapshot(
        id=order.id,
        account_id=order.account_id,
        terms=order.terms,
        status=status,
        filled_quantity=facts.filled_quantity,
        notional=facts.notional,
        reason=derive_reason(facts, status=status),
        venue_order_id=facts.venue_order_id,
        placement=placement,
        version=order.version,
        created_at=order.created_at,
        updated_at=order.updated_at,
        venue_filled_quantity=None if facts.count is None else facts.count.quantity,
        restatement=facts.restatement,
    )


def venue_orders_of(order: Order) -> Sequence[VenueOrderView]:
    """Return the venue orders of the order: the first one, and its replacements, in their order."""
    facts = order.facts
    successors = sorted(facts.successors.items(), key=lambda item: (item[1].linked_at, item[0]))
    first = VenueOrderView(
        venue_order_id=chain_of(facts)[0],
        venue_client_order_id=order.venue_client_order_id,
        filled_quantity=filled_of(facts, None),
        venue_status=_venue_status(facts.ends),
        ended_at=_replaced_at(facts, chain_of(facts)[0]),
    )
    return [
        first,
        *(
            VenueOrderView(
                venue_order_id=name,
                # Empty until the venue has reported it: our id is the first one's.
                venue_client_order_id=one.venue_client_order_id or "",
                filled_quantity=one.facts.filled_quantity,
                venue_status=_venue_status(one.facts.ends) or (None if one.completed is None else "filled"),
                replaces=one.replaces,
                ended_at=one.ended_at or _replaced_at(facts, name),
            )
            for name, one in successors
        ),
    ]


def _venue_status(ends: Collection[End]) -> str | None:
    return next((end.value.lower() for end in End if end in ends), None)


def _replaced_at(facts: Facts, name: str | None) -> datetime | None:
    """Return when the venue order was replaced; None when it is not known to have ended by that."""
    own = facts.successors[name].facts if name in facts.successors and name is not None else facts
    times = [one.linked_at for one in facts.successors.values() if one.replaces == name and not one.is_refused]
    return min(times, default=None) if End.REPLACED in own.ends else None


def view(execution: Execution) -> ExecutionView:
    """Return the execution as shown to people."""
    return ExecutionView(
        id=execution.id,
        quantity=execution.trade.quantity,
        price=execution.trade.price,
        executed_at=execution.executed_at,
        received_at=execution.received_at,
    )
