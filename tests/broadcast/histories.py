"""Histories that a test makes up: an order, and a log that its changes are appended to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from domain.model.changes import ChangeKind, ExecutionView, OrderSnapshot, PlacementState, RecordedChange, snapshot
from domain.model.order import OrderStatus
from tests.support.examples import an_order
from tests.support.fakes.change_log import MemoryChangeLog

MORNING = datetime(2026, 1, 5, 8, tzinfo=UTC)


def a_snapshot(number: int = 1, *, account_id: str = "demo") -> OrderSnapshot:
    """Return an order before its first change; `number` selects another one."""
    order = an_order(
        order_id=UUID(int=number),
        account_id=account_id,
        client_order_id=f"order-{number}",
        quantity="1000",
        at=MORNING,
    )
    return replace(snapshot(order, placement=PlacementState()), version=0)


class ChangeHistory(MemoryChangeLog):
    """A change log that grows change by change."""

    def append(
        self,
        order: OrderSnapshot,
        *,
        status: OrderStatus = OrderStatus.PARTIALLY_FILLED,
        filled: Decimal | None = None,
        counted: Decimal | None = None,
    ) -> RecordedChange:
        """Commit the next change of the order, by default with the quantities of the one before."""
        changes = self.changes.setdefault(order.account_id, [])
        known = self.newest(order.id) or order
        moment = MORNING + timedelta(milliseconds=len(changes))
        after = replace(
            known,
            version=known.version + 1,
            status=status,
            updated_at=moment,
            filled_quantity=known.filled_quantity if filled is None else filled,
            venue_filled_quantity=known.venue_filled_quantity if counted is None else counted,
        )
        is_first = after.version == 1
        change = RecordedChange(
            sequence=len(changes) + 1,
            kind=ChangeKind.RECEIVED if is_first else ChangeKind.FILL,
            at=moment,
            order=after,
            execution=None if is_first else _execution(len(changes), at=moment),
        )
        changes.append(change)
        return change


def _execution(number: int, *, at: datetime) -> ExecutionView:
    return ExecutionView(id=UUID(int=number), quantity=Decimal(1), price=Decimal("1.5"), executed_at=at, received_at=at)
