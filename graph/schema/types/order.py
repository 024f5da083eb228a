"""An order in public form. Its instrument, executions and history are read only on demand."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import strawberry

from domain.model.changes import OrderSnapshot, PlacementState, RecordedChange
from graph.auth.bearer import Scope
from graph.context import Info
from graph.schema.cursors import (
    read_execution_cursor,
    read_history_cursor,
    write_execution_cursor,
    write_history_cursor,
)
from graph.schema.enums import OrderStatus, OrderType, Side, TimeInForce
from graph.schema.fields import described
from graph.schema.global_ids import order_node_id
from graph.schema.page_arguments import DEFAULT_FIRST, page_arguments, read_page
from graph.schema.types.change import OrderChange, OrderReason, change_from, reason_from
from graph.schema.types.connection import Connection, connect
from graph.schema.types.execution import Execution, execution_from
from graph.schema.types.instrument import Instrument, instrument_from
from graph.schema.types.node import Node
from graph.schema.types.venue_order import VenueOrder, venue_order_from


@strawberry.type
class Placement:
    attempts: int
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str | None

    @strawberry.field
    def max_attempts(self, info: Info) -> int:
        return info.context.services.settings.max_attempts


@strawberry.type
class Order(Node):
    key: strawberry.Private[UUID]
    instrument_isin: strawberry.Private[str]
    account_id: strawberry.ID
    client_order_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    original_quantity: Decimal
    limit_price: Decimal | None
    status: OrderStatus
    is_final: bool = strawberry.field(
        description=(
            "FILLED, CANCELED, EXPIRED, REJECTED and FAILED are final. A late fill can still raise the filled quantity."
        )
    )
    filled_quantity: Decimal
    leaves_quantity: Decimal
    average_price: Decimal | None
    venue_filled_quantity: Decimal | None = strawberry.field(
        description=(
            "What the venue counts as filled of a final order, where that is not filledQuantity: a fill or a "
            "correction is missing, and is being looked for. Otherwise null."
        )
    )
    reason: OrderReason | None = strawberry.field(
        description="Why it is IN_DOUBT, REJECTED, FAILED, CANCELED or EXPIRED."
    )
    venue_order_id: str | None
    placement: Placement
    version: int = strawberry.field(description="Starts at 1 and rises by exactly 1 with every change of this order.")
    created_at: datetime
    updated_at: datetime

    @strawberry.field
    async def instrument(self, info: Info) -> Instrument:
        instrument = await info.context.instruments.load(self.instrument_isin)
        if instrument is None:
            raise LookupError(f"order {self.id} names the instrument {self.instrument_isin}, which is not there")
        return instrument_from(instrument)

    @strawberry.field
    async def executions(
        self,
        info: Info,
        *,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
    ) -> Connection[Execution]:
        info.context.bearer.require(Scope.READ)
        services = info.context.services
        arguments = page_arguments(
            first=first, after=after, last=last, before=before, read_cursor=read_execution_cursor
        )
        page = await read_page(
            arguments,
            lambda request: services.reader.executions(self.key, request, version=self.version),
            settings=services.settings,
        )
        return connect(page, node=execution_from, cursor=lambda row: write_execution_cursor(row.id))

    @strawberry.field
    async def venue_orders(self, info: Info) -> list[VenueOrder]:
        info.context.bearer.require(Scope.READ)
        return [venue_order_from(one) for one in await info.context.services.reader.venue_orders(self.key)]

    @described("Every change, oldest first: the audit trail.")
    async def history(
        self,
        info: Info,
        *,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
    ) -> Connection[OrderChange]:
        info.context.bearer.require(Scope.READ)
        services = info.context.services
        arguments = page_arguments(first=first, after=after, last=last, before=before, read_cursor=read_history_cursor)
        page = await read_page(
            arguments,
            lambda request: services.reader.history(self.key, request, version=self.version),
            settings=services.settings,
        )
        return connect(page, node=change_from, cursor=lambda row: write_history_cursor(row.order.version))


def order_from(order: OrderSnapshot) -> Order:
    """Return the order in public form."""
    terms = order.current_terms
    return Order(
        id=order_node_id(order.id),
        key=order.id,
        instrument_isin=terms.isin,
        account_id=strawberry.ID(order.account_id),
        client_order_id=terms.client_order_id,
        side=terms.side,
        type=terms.type,
        time_in_force=terms.time_in_force,
        quantity=terms.quantity,
        original_quantity=order.terms.quantity,
        limit_price=terms.limit_price,
        status=order.status,
        is_final=order.status.is_final,
        filled_quantity=order.filled_quantity,
        leaves_quantity=order.leaves_quantity,
        average_price=order.average_price,
        venue_filled_quantity=_counted_otherwise(order),
        reason=reason_from(order.reason),
        venue_order_id=order.venue_order_id,
        placement=_placement_from(order.placement),
        version=order.version,
        created_at=order.created_at,
        updated_at=order.updated_at,
    )


def _counted_otherwise(order: OrderSnapshot) -> Decimal | None:
    counted = order.venue_filled_quantity
    return counted if order.status.is_final and counted != order.filled_quantity else None


def change_with_order(order: Order, change: RecordedChange) -> OrderChange:
    """Return the change like `change_from`, together with its order: shared values are not computed twice."""
    return OrderChange(
        kind=change.kind,
        version=order.version,
        at=change.at,
        status=order.status,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        execution=None if change.execution is None else execution_from(change.execution),
        reason=order.reason,
    )


def _placement_from(placement: PlacementState) -> Placement:
    return Placement(
        attempts=placement.attempts,
        last_attempt_at=placement.last_attempt_at,
        next_attempt_at=placement.next_attempt_at,
        last_error=placement.last_error,
    )
