"""A change: one step of one order, with the order as it stood right after it.

Changes are what the history keeps, what is published, and what a subscriber sees: each one exactly once, in the order
of the account's sequence.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from domain.model.executions import Execution
from domain.model.frozen import frozen
from domain.model.order import Order, OrderStatus, derive_reason, leaves_quantity
from domain.model.restatement import Restatement
from domain.model.values import Reason, Terms, average_price


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
    """The venue's order behind one of ours, as people see it. `venue_order_id` is None until the venue shows it."""

    venue_order_id: str | None
    venue_client_order_id: str
    filled_quantity: Decimal


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
    status = order.status
    return OrderSnapshot(
        id=order.id,
        account_id=order.account_id,
        terms=order.terms,
        status=status,
        filled_quantity=order.facts.filled_quantity,
        notional=order.facts.notional,
        reason=derive_reason(order.facts, status=status),
        venue_order_id=order.facts.venue_order_id,
        placement=placement,
        version=order.version,
        created_at=order.created_at,
        updated_at=order.updated_at,
        venue_filled_quantity=None if order.facts.count is None else order.facts.count.quantity,
        restatement=order.facts.restatement,
    )


def view(execution: Execution) -> ExecutionView:
    """The execution as people see it."""
    return ExecutionView(
        id=execution.id,
        quantity=execution.trade.quantity,
        price=execution.trade.price,
        executed_at=execution.executed_at,
        received_at=execution.received_at,
    )
