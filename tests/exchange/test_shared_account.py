"""Catch-ups and comparisons through the adapter, on a simulated account that other clients use too."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest

from domain.model.order import Order, OrderStatus
from domain.ports.telemetry import Metric
from domain.ports.venue import ExternalReport, StreamItem, UnreadableReport, VenueReport
from domain.ports.venue_outcomes import OutcomeUnknown, Placed
from domain.services.reconciliation import Reconciliation
from exchange.simulator.keys import VenueKeys
from runtime.alerts.kinds import ALERTS
from tests.support.examples import new_order, now
from tests.support.exchange import Exchange, an_exchange
from tests.support.fakes.clock import SettableClock
from tests.support.memory_gateway import Desk

AT_ONCE = timedelta(0)
EXTERNAL_ORDERS = 1_200
PLACED_AT_ONCE = 50
KINDS: Mapping[str, Mapping[str, object]] = {
    "stop": {"type": "stop", "stop_price": "150"},
    "stop_limit": {"type": "stop_limit", "stop_price": "150", "limit_price": 151.5},
    "trailing_stop": {"type": "trailing_stop", "trail_percent": 1.5, "hwm": 1e-05},
    "opg": {"time_in_force": "opg"},
    "cls": {"time_in_force": "cls", "type": "limit", "limit_price": "150"},
    "notional": {"qty": None, "notional": "100.50"},
    "fraction": {"qty": "0.123456789"},
    "unknown class": {"order_class": "a class of next year"},
    "bracket": {"take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "100"}, "order_class": "bracket"},
    "unknown type": {"type": "a type of next year"},
    "unknown side": {"side": "sell_short_exempt"},
    "unknown time in force": {"time_in_force": "gtx"},
    "unlisted symbol": {"symbol": "BRK.B/€ 2026", "position_intent": "buy_to_open"},
    "odd client order id": {"client_order_id": "by hand: ü/..?&x=1 \U0001f600"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account at the simulated exchange, and what is stored here of our orders on it."""

    exchange: Exchange
    desk: Desk
    reconciliation: Reconciliation

    async def placed(self, *, client_order_id: str, is_acknowledged: bool = True) -> Order:
        """Store an order and send it; without the acknowledgement it is in doubt."""
        order = new_order(client_order_id=client_order_id)
        await self.desk.orders.store(order)
        outcome = await self.exchange.venue.submit(order.venue_client_order_id, order.terms)
        assert isinstance(outcome, Placed)
        self.desk.venue.will_answer(outcome if is_acknowledged else OutcomeUnknown(error="lost"))
        await self.desk.submission.submit([order.id])
        return order

    async def place_external(self, **changes: object) -> None:
        """Place an order as another client of the account."""
        fields = {"symbol": "AAPL", "qty": "10", "side": "buy", "client_order_id": "by-hand", **changes}
        await self.exchange.control("POST", "orders", **fields)

    async def script(self, *answers: Mapping[str, object]) -> None:
        """Script the exchange's answers."""
        url = f"{self.exchange.settings.url}/simulator/answers"
        async with self.exchange.session.put(url, json=list(answers), headers=VenueKeys().headers) as response:
            assert response.status == 200, await response.text()

    def status(self, order: Order) -> OrderStatus:
        return self.desk.order(order.id).status


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    async with an_exchange() as exchange:
        desk = Desk(telemetry=exchange.telemetry, clock=SettableClock(now()))
        yield Account(exchange=exchange, desk=desk, reconciliation=desk.reconciliation_with(exchange.venue))


@pytest.mark.parametrize("kind", KINDS)
async def test_fills_of_external_orders_of_any_kind_do_not_block_our_fills_from_being_caught_up(
    account: Account, kind: str
) -> None:
    ours = await account.placed(client_order_id="ours")
    in_doubt = await account.placed(client_order_id="in-doubt", is_acknowledged=False)
    await account.place_external(**KINDS[kind], fill=True)
    for order in (ours, in_doubt):
        await account.exchange.fill(order.venue_client_order_id, qty="40", price="12.5")

    await account.reconciliation.catch_up(cause="started")

    assert account.status(ours) is account.status(in_doubt) is OrderStatus.PARTIALLY_FILLED
    assert account.desk.telemetry.counted(Metric.REPORTS_EXTERNAL) == 1
    assert ALERTS.keys().isdisjoint(event for event, _ in account.desk.telemetry.events)
    assert await account.desk.positions.read("alpaca") is not None


@pytest.mark.parametrize("kind", KINDS)
async def test_open_external_orders_of_any_kind_hide_no_end_of_ours(account: Account, kind: str) -> None:
    await account.place_external(**KINDS[kind])
    ours = await account.placed(client_order_id="ours")
    await account.exchange.venue.cancel(account.desk.order(ours.id).facts.venue_order_id or "")
    await account.exchange.settled(ours.venue_client_order_id)

    await account.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert account.status(ours) is OrderStatus.CANCELED
    assert account.desk.telemetry.counted(Metric.ORDERS_EXTERNAL) >= 1
    assert account.desk.telemetry.said("venue_row_unreadable") == []


async def test_our_order_after_1200_external_ones_is_found_on_the_third_page(account: Account) -> None:
    for first in range(0, EXTERNAL_ORDERS, PLACED_AT_ONCE):
        numbers = range(first, first + PLACED_AT_ONCE)
        await asyncio.gather(
            *(account.place_external(client_order_id=f"by-hand-{n}", type="stop", stop_price="1") for n in numbers)
        )
    in_doubt = await account.placed(client_order_id="in-doubt", is_acknowledged=False)

    await account.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert account.status(in_doubt) is OrderStatus.PLACED
    # The last row of a page begins the next one.
    assert EXTERNAL_ORDERS <= account.desk.telemetry.counted(Metric.ORDERS_EXTERNAL) <= EXTERNAL_ORDERS + 2


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "body": {"code": 50010000, "message": "internal server error occurred"}},
        {"status": 502, "body": "<html>nginx</html>"},
        {"status": 200, "body": "<html>nginx</html>"},
        {"status": 200, "body": {}},
        {"status": 200, "body": []},
        {"status": 404, "body": {"message": 7}},
    ],
    ids=["error", "gateway", "not JSON", "empty", "list", "odd 404"],
)
async def test_a_look_up_that_fails_does_not_stop_the_look_ups_after_it(
    account: Account, answer: Mapping[str, object]
) -> None:
    orders = [await account.placed(client_order_id=f"ours-{number}") for number in range(3)]
    for order in orders:
        await account.exchange.venue.cancel(account.desk.order(order.id).facts.venue_order_id or "")
        await account.exchange.settled(order.venue_client_order_id)
    await account.script({"method": "GET", "path": "/v2/orders:by_client_order_id", **answer})

    await account.reconciliation.catch_up(cause="periodic")

    statuses = sorted(account.status(order) for order in orders)
    assert statuses == [OrderStatus.CANCELED, OrderStatus.CANCELED, OrderStatus.PLACED]


async def test_activities_and_rows_that_cannot_be_read_do_not_affect_others(account: Account) -> None:
    ours = await account.placed(client_order_id="ours")
    venue_order_id = account.desk.order(ours.id).facts.venue_order_id
    fill = {
        "activity_type": "FILL",
        "id": "20261130080001234::e1",
        "order_id": venue_order_id,
        "transaction_time": "2026-11-30T08:00:01Z",
        "qty": "40",
        "price": "12.5",
        "cum_qty": "40",
    }
    odd_rows: Sequence[object] = [
        None,
        {"activity_type": "DIV", "id": "x", "net_amount": "1.02"},
        {**fill, "order_id": "unknown", "qty": "-2"},
        {**fill, "id": "20261130080001234::e2", "price": None},
    ]
    await account.script(
        {"method": "GET", "path": "/v2/account/activities/FILL", "status": 200, "body": [*odd_rows, fill]}
    )

    await account.reconciliation.catch_up(cause="started")

    assert account.desk.order(ours.id).facts.filled_quantity == 40
    assert [error for error, _ in account.desk.dead_letters.letters] == ["price is missing or not a number"]
    assert account.desk.telemetry.counted(Metric.VENUE_VALUES_UNKNOWN, field="activity_type") == 1


async def test_a_status_of_our_order_that_is_in_no_document_stays_open_and_is_counted(account: Account) -> None:
    ours = await account.placed(client_order_id="ours", is_acknowledged=False)
    row = {
        "id": "v1",
        "client_order_id": str(ours.id),
        "submitted_at": "2026-11-30T08:00:00Z",
        "status": "a status of next year",
        "symbol": ours.terms.symbol,
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "qty": "100",
        "limit_price": "12.5",
        "filled_qty": "0",
    }
    await account.script({"method": "GET", "path": "/v2/orders", "status": 200, "body": [row]})

    await account.reconciliation.compare_open_orders(silent_for=AT_ONCE)

    assert account.status(ours) is OrderStatus.PLACED
    assert account.desk.telemetry.counted(Metric.VENUE_VALUES_UNKNOWN, field="status") == 1
    assert account.desk.telemetry.said("venue_value_unknown")[0]["value"] == "a status of next year"


@pytest.mark.parametrize("kind", KINDS)
async def test_messages_about_external_orders_name_their_order_and_nothing_else(account: Account, kind: str) -> None:
    exchange = account.exchange
    async with exchange.stream.connect() as messages:
        await account.place_external(**KINDS[kind])
        ours = await account.placed(client_order_id="ours")
        heard: list[StreamItem] = []
        async with asyncio.timeout(5):
            while not any(
                isinstance(item, VenueReport) and item.venue_client_order_id == ours.venue_client_order_id
                for item in heard
            ):
                heard += await anext(messages)

    assert isinstance(heard[0], ExternalReport)
    assert not any(isinstance(item, UnreadableReport) for item in heard)
