"""The book finds open orders however many have ended before them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from exchange.simulator.book import COMPACTION_MIN_ORDERS, OrderBook, OrderQuery
from exchange.simulator.instruments import listed_instruments
from exchange.simulator.orders import Order, OrderTerms, OrderType, Side, Status, TimeInForce

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _order(number: int) -> Order:
    at = NOON + timedelta(microseconds=number)
    terms = OrderTerms(
        client_order_id=f"order {number}",
        instrument=listed_instruments()[0],
        side=Side.BUY,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        quantity=Decimal(10),
        limit_price=None,
    )
    return Order(id=str(number), terms=terms, submitted_at=at, visible_at=at, updated_at=at, fills_left=1)


def test_open_orders_stay_listed_while_the_ended_ones_are_cleared_away() -> None:
    book = OrderBook()
    orders = [_order(number) for number in range(4 * COMPACTION_MIN_ORDERS)]
    for order in orders:
        book.add(order)
    for order in orders[:-3]:
        order.end(Status.CANCELED, at=NOON)
        book.note_closed()

    query = OrderQuery(is_open=True, limit=2, after=NOON, until=None, newest_first=False, symbols=None, side=None)
    page = book.list_orders(query, now=NOON + timedelta(seconds=1))

    assert page == orders[-3:-1]
    assert book.open_orders() == orders[-3:]
    assert book.find("0") is orders[0]
    assert book.is_taken("order 0")
