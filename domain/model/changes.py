"""A change: one step of one order, with the order as it stood right after it.

Changes are what the history keeps, what is published, and what a subscriber sees: each one exactly once, in the order
of the account's sequence.
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
    """What should not happen and did. It never stops an order; it is counted, logged, and looked at by people."""

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
    """How placing goes, for people to see. It is bookkeeping: it changes without a new version of the order."""

    attempts: int = 0
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    last_error: str | None = None


@frozen
class OrderSnapshot:
    """An order as people see it at one version: what is stored in a history row, published, and shown.

    `terms` are those that were asked for; `current_terms` are shown. `venue_filled_quantity` is what the venue counted
    as filled when the order ended or was amended last.
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
        """The terms as they were at this version: as asked for, unless the venue had restated them."""
        return self.terms if self.restatement is None else self.restatement.applied_to(self.terms)

    @property
    def lacks_fills(self) -> bool:
        """Whether the order is final and the venue counts more as filled than is recorded: it is being looked for."""
        counted = self.venue_filled_quantity
        return counted is not None and self.status.is_final and counted > self.filled_quantity

    @property
    def is_settled(self) -> bool:
        """Whether the order is final and nothing is known to be missing."""
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
    """A venue order behind one of ours, as people see it. `venue_order_id` is None until the venue shows it.

    `venue_status` is the venue's word for how it ended, and None while it is not known to be over.
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
    """An execution as people see it in a change: what it counted for at that moment."""

    id: UUID
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    received_at: datetime


@frozen
class RecordedChange:
    """A committed change: its place in the account's gapless sequence, and the order as it stood."""

    sequence: int
    kind: ChangeKind
    at: datetime
    order: OrderSnapshot
    execution: ExecutionView | None


def snapshot(order: Order, *, placement: PlacementState) -> OrderSnapshot:
    """The order as people see it, from its facts."""
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
    """The venue orders behind the order: the first one, and those that replaced it, as they came."""
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
                # Empty until the venue has shown it: ours is the first one's.
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
    """When the venue order was replaced; None when it is not known to be over by that."""
    own = facts.successors[name].facts if name in facts.successors and name is not None else facts
    times = [one.linked_at for one in facts.successors.values() if one.replaces == name and not one.is_refused]
    return min(times, default=None) if End.REPLACED in own.ends else None


def view(execution: Execution) -> ExecutionView:
    """The execution as people see it."""
    return ExecutionView(
        id=execution.id,
        quantity=execution.trade.quantity,
        price=execution.trade.price,
        executed_at=execution.executed_at,
        received_at=execution.received_at,
    )
