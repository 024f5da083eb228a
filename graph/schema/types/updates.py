"""What subscriptions send."""

import strawberry

from domain.model.changes import OrderSnapshot, RecordedChange
from domain.ports.notifications import Checkpoint, Reset, UpToDate
from graph.schema.cursors import write_stream_cursor
from graph.schema.enums import OrderStreamKind, OrderUpdateKind
from graph.schema.types.change import OrderChange
from graph.schema.types.order import Order, change_with_order, order_from


@strawberry.type
class OrderUpdate:
    kind: OrderUpdateKind
    order: Order
    change: OrderChange | None


@strawberry.type
class OrderStreamUpdate:
    kind: OrderStreamKind
    cursor: str
    order: Order | None
    change: OrderChange | None


def order_update_from(item: OrderSnapshot | UpToDate | RecordedChange) -> OrderUpdate | None:
    """Return one message of `orderStatus`; None when the client has received everything so far."""
    if isinstance(item, UpToDate):
        return None
    if isinstance(item, OrderSnapshot):
        return OrderUpdate(kind=OrderUpdateKind.SNAPSHOT, order=order_from(item), change=None)
    order = order_from(item.order)
    return OrderUpdate(kind=OrderUpdateKind.CHANGE, order=order, change=change_with_order(order, item))


def stream_update_from(item: Checkpoint | Reset | RecordedChange) -> OrderStreamUpdate:
    """One message of `orderUpdates`."""
    cursor = write_stream_cursor(item.sequence)
    if isinstance(item, RecordedChange):
        order = order_from(item.order)
        return OrderStreamUpdate(
            kind=OrderStreamKind.CHANGE, cursor=cursor, order=order, change=change_with_order(order, item)
        )
    kind = OrderStreamKind.CHECKPOINT if isinstance(item, Checkpoint) else OrderStreamKind.RESET
    return OrderStreamUpdate(kind=kind, cursor=cursor, order=None, change=None)
