"""The broker's SDK, an independent client, works with the simulated exchange.

Each check runs twice: with the stream in binary and in text frames. The simulator is a separate process.
"""

import json
import os
import queue
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

import pytest
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetStatus, OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.models import Order, TradeUpdate
from alpaca.trading.requests import (
    GetAssetsRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
)
from alpaca.trading.stream import TradingStream

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 10
KEY = "simulator"


class Simulator:
    """A simulator process: its addresses, and its controls."""

    def __init__(self, frames: str) -> None:
        command = [os.environ["FILLWIRE_PYTHON"], "-m", "exchange.simulator", "--port", "0", "--frames", frames]
        self._process = subprocess.Popen(
            [*command, "--no-faults", "--manual"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        words = self._process.stdout.readline().replace(",", "").split()
        self.url, self.stream_url = words[3], words[-1]

    def control(self, path: str, body: object, method: str = "POST") -> dict[str, str]:
        data = json.dumps(body).encode()
        url, headers = f"{self.url}/simulator/{path}", {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": KEY}
        headers["Content-Type"] = "application/json"  # Without it urllib names that of a form.
        request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310  # Our own.
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:  # noqa: S310  # Our own.
            return json.load(response)

    def stop(self) -> None:
        self._process.terminate()
        assert self._process.wait(DEADLINE_SECONDS) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()


class Updates:
    """The SDK's stream client in a separate thread, and its received updates."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._received: queue.Queue[TradeUpdate] = queue.Queue()
        self._stream = TradingStream(KEY, KEY, url_override=simulator.stream_url)
        self._stream.subscribe_trade_updates(self._receive)
        self._thread = threading.Thread(target=self._stream.run, daemon=True)

    async def _receive(self, update: TradeUpdate) -> None:
        self._received.put(update)

    def __enter__(self) -> Self:
        self._thread.start()
        # The SDK has no event for a connected stream: its first update is one.
        client = TradingClient(KEY, KEY, url_override=self._simulator.url)
        for _ in range(100):
            order = client.submit_order(market())
            client.cancel_order_by_id(order.id)
            try:
                while self._received.get(timeout=0.2).event != "canceled":
                    pass
            except queue.Empty:
                continue
            return self
        raise AssertionError("the SDK's stream received nothing")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.stop()
        # The SDK checks its stop flag every five seconds, or when its connection ends.
        self._simulator.control("disconnect", {})
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive()

    def next(self) -> TradeUpdate:
        return self._received.get(timeout=DEADLINE_SECONDS)


@pytest.fixture(scope="module", params=["binary", "text"])
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    running = Simulator(request.param)
    yield running
    running.stop()


@pytest.fixture
def client(simulator: Simulator) -> Iterator[TradingClient]:
    client = TradingClient(KEY, KEY, url_override=simulator.url)
    yield client
    client._session.close()  # noqa: SLF001  # The SDK offers no other way to close its connections.


def market(**changes: object) -> MarketOrderRequest:
    fields = {"symbol": "AAPL", "qty": 10, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
    return MarketOrderRequest(**{**fields, **changes})


def limit(**changes: object) -> LimitOrderRequest:
    fields = {"symbol": "MSFT", "qty": 10, "side": OrderSide.SELL, "time_in_force": TimeInForce.GTC}
    return LimitOrderRequest(**{**fields, "limit_price": 431.25, **changes})


def refused(call: Callable[[], object]) -> APIError:
    with pytest.raises(APIError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("time_in_force", [TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
def test_market_and_limit_orders_are_accepted_with_every_time_in_force(
    client: TradingClient, time_in_force: TimeInForce
) -> None:
    at_market = client.submit_order(market(time_in_force=time_in_force))
    at_limit = client.submit_order(limit(time_in_force=time_in_force))

    assert isinstance(at_market, Order)
    assert (at_market.status, at_market.time_in_force) == (OrderStatus.ACCEPTED, time_in_force)
    assert (at_market.qty, at_market.limit_price) == ("10", None)
    assert (at_limit.side, at_limit.limit_price) == (OrderSide.SELL, "431.25")


def test_an_order_is_found_by_id_and_by_client_order_id(client: TradingClient) -> None:
    client_order_id = f"sdk {uuid4()}"
    order = client.submit_order(market(client_order_id=client_order_id))

    assert client.get_order_by_id(order.id).client_order_id == client_order_id
    assert client.get_order_by_client_id(client_order_id).id == order.id


def test_orders_are_listed_by_status_side_symbol_and_time(client: TradingClient) -> None:
    first, second = client.submit_order(limit()), client.submit_order(limit())

    newest = client.get_orders(GetOrdersRequest(limit=2, symbols=["MSFT"], side=OrderSide.SELL))
    after = client.get_orders(
        GetOrdersRequest(status=QueryOrderStatus.ALL, after=first.submitted_at, direction=Sort.ASC, nested=True)
    )
    closed = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.CLOSED))

    assert [order.id for order in newest] == [second.id, first.id]
    assert [order.id for order in after] == [second.id]
    assert second.id not in {order.id for order in closed}


def test_an_order_is_replaced_by_a_new_one(client: TradingClient) -> None:
    order = client.submit_order(limit())

    successor = client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=4, limit_price=432.5))

    assert (successor.replaces, successor.qty, successor.limit_price) == (order.id, "4", "432.5")
    assert client.get_order_by_id(order.id).replaced_by == successor.id


def test_one_order_and_all_orders_are_canceled(client: TradingClient) -> None:
    order = client.submit_order(limit())
    other = client.submit_order(limit())

    client.cancel_order_by_id(order.id)
    responses = client.cancel_orders()

    assert client.get_order_by_id(order.id).status is OrderStatus.CANCELED
    assert {response.id: response.status for response in responses}[other.id] == 200
    assert client.get_orders() == []


def test_the_documented_errors_arrive_with_status_code_and_message(client: TradingClient, simulator: Simulator) -> None:
    order = client.submit_order(market(client_order_id=f"once {uuid4()}"))
    stranger = TradingClient(KEY, "wrong", url_override=simulator.url)

    duplicate = refused(lambda: client.submit_order(market(client_order_id=order.client_order_id)))
    invalid = refused(lambda: client.submit_order(limit(limit_price=431.255)))
    unknown = refused(lambda: client.get_order_by_id(uuid4()))
    too_large = refused(lambda: client.submit_order(market(qty=100_000_000)))
    unauthorized = refused(stranger.get_account)
    stranger._session.close()  # noqa: SLF001  # The SDK offers no other way to close its connections.

    assert (duplicate.status_code, duplicate.code) == (422, 40010001)
    assert duplicate.message == "client_order_id must be unique"
    assert (invalid.status_code, invalid.message) == (422, "limit_price must be a multiple of the tick size 0.01")
    assert (unknown.status_code, unknown.code) == (404, 40410000)
    assert (too_large.status_code, too_large.code) == (403, 40310000)
    assert unauthorized.status_code == 401


def test_an_ended_order_is_neither_canceled_nor_replaced(client: TradingClient) -> None:
    order = client.submit_order(limit())
    client.cancel_order_by_id(order.id)

    assert refused(lambda: client.cancel_order_by_id(order.id)).status_code == 422
    assert refused(lambda: client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=1))).status_code == 422


def test_assets_account_clock_and_positions_are_read(client: TradingClient, simulator: Simulator) -> None:
    order = client.submit_order(market(symbol="KO"))
    simulator.control("fills", {"order_id": str(order.id), "price": "64.5"})

    assets = client.get_all_assets(GetAssetsRequest(status=AssetStatus.ACTIVE))
    asset = client.get_asset("AAPL")
    position = client.get_open_position("KO")

    assert len(assets) >= 60
    assert all(each.tradable for each in assets)
    assert client.get_asset(asset.id) == asset
    assert client.get_account().currency == "USD"
    assert client.get_clock().is_open
    assert (int(position.qty) % 10, position.symbol) == (0, "KO")
    assert "KO" in {each.symbol for each in client.get_all_positions()}


def test_fills_arrive_with_quantity_price_and_position(client: TradingClient, simulator: Simulator) -> None:
    with Updates(simulator) as updates:
        order = client.submit_order(market(symbol="IBM"))
        body = {"order_id": str(order.id), "qty": "4", "price": "223.5"}
        execution_id = simulator.control("fills", body)["execution_id"]
        simulator.control("fills", {"order_id": str(order.id), "price": "223.6"})
        new, partial, fill = updates.next(), updates.next(), updates.next()

    assert [update.event for update in (new, partial, fill)] == ["new", "partial_fill", "fill"]
    assert partial.execution_id == UUID(execution_id)
    assert (partial.qty, partial.price, partial.order.filled_qty) == (4, 223.5, "4")
    assert (fill.qty, fill.order.filled_qty, fill.order.filled_avg_price) == (6, "10", "223.56")
    assert fill.order.status is OrderStatus.FILLED


def test_every_end_arrives(client: TradingClient, simulator: Simulator) -> None:
    with Updates(simulator) as updates:
        canceled, replaced = client.submit_order(limit()), client.submit_order(limit())
        client.cancel_order_by_id(canceled.id)
        client.replace_order_by_id(replaced.id, ReplaceOrderRequest(qty=3))
        expiring = client.submit_order(market())
        simulator.control("close", {})
        simulator.control("faults", {"reject_rate": 1}, method="PUT")
        simulator.control("matching", {"fill_delay_ms": 1}, method="PUT")
        rejected = client.submit_order(market())
        simulator.control("faults", {"reject_rate": 0}, method="PUT")

        wanted = [("canceled", canceled), ("replaced", replaced), ("expired", expiring), ("rejected", rejected)]
        missing = {(event, order.id) for event, order in wanted}
        while missing:
            update = updates.next()
            missing.discard((update.event, update.order.id))


def test_rare_events_arrive_too(client: TradingClient, simulator: Simulator) -> None:
    with Updates(simulator) as updates:
        simulator.control("matching", {"cancel_delay_ms": 500}, method="PUT")
        order = client.submit_order(market())
        client.cancel_order_by_id(order.id)
        execution_id = simulator.control("fills", {"order_id": str(order.id)})["execution_id"]
        received = [updates.next().event for _ in range(4)]
        simulator.control("matching", {"cancel_delay_ms": 0}, method="PUT")
        simulator.control("correct", {"execution_id": execution_id, "price": "230"})
        simulator.control("bust", {"execution_id": execution_id})
        received += [updates.next().event for _ in range(2)]

    assert received == ["new", "pending_cancel", "fill", "order_cancel_rejected", "trade_correct", "trade_bust"]
