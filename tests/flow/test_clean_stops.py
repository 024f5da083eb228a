"""Processes on SIGTERM: open work is finished, subscribers are closed in time, and no change is lost."""

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.flow.socket import Subscription
from tests.support.processes import RunningProcess, eventually
from tests.support.system import Json, System, open_system

SERVICE_RESTART = 1012
DRAIN_SECONDS = 1.5
QUICK_DRAIN_SECONDS = 0.5
SOCKETS = 20
BOUND_SECONDS = 12.0
QUICK = {
    "API_DRAIN_SECONDS": str(DRAIN_SECONDS),
    "PLACEMENT_BACKOFF_SECONDS": "0.3",
    "PLACEMENT_BACKOFF_MAX_SECONDS": "1",
    "SWEEP_OVERDUE_SECONDS": "0.5",
}
HEADS = ("api", "api-2", "worker", "worker-2", "ingest", "ingest-2")
ACCOUNTS = ("demo", "other")
ORDERS_PAUSE_SECONDS = 0.05
WATCH_ALL = """
subscription WatchAll($after: String) {
  orderUpdates(after: $after) { kind cursor order { id version isFinal } }
}
"""


@pytest.fixture
async def alone(database_url: str, redis_url: str) -> AsyncIterator[System]:
    """Start a system whose processes a test stops."""
    async with open_system(database_url=database_url, redis_url=redis_url, settings=QUICK) as system:
        yield system


def ended_well(process: RunningProcess) -> bool:
    """Return whether it ended with exit code 0 and no error in its output."""
    troubles = [line for line in process.output if "Traceback" in line or "[error" in line]
    assert not troubles, "\n".join(process.output)
    return process.exit_code == 0


async def test_a_stopping_api_closes_its_sockets_one_by_one_and_answers_its_requests(alone: System) -> None:
    await alone.start("api", "worker", "ingest")
    await alone.control("PUT", "faults", {"latency_ms": 1_000})
    leavers = [asyncio.create_task(_until_closed(alone)) for _ in range(SOCKETS)]
    await eventually(lambda: _has_sockets(alone, SOCKETS), within_seconds=10, what="every socket is open")
    asking = asyncio.create_task(alone.place(wait_ms=10_000))
    await eventually(lambda: _has_orders(alone, 1), within_seconds=5, what="the order is being placed")

    asked_at = time.monotonic()
    stopping = asyncio.create_task(alone.end("api"))
    await eventually(lambda: _is_unready(alone), within_seconds=DRAIN_SECONDS, what="readiness is off")
    refused = await _refusal_of_a_socket(alone)
    process = await stopping

    assert ended_well(process)
    assert refused == 503
    assert time.monotonic() - asked_at < BOUND_SECONDS
    assert (await asking)["order"]["status"] == "PLACED"
    codes, moments = zip(*[await leaver for leaver in leavers], strict=True)
    assert set(codes) == {SERVICE_RESTART}
    assert max(moments) - min(moments) > DRAIN_SECONDS / 2


async def test_a_rolling_restart_of_every_process_under_load_loses_and_repeats_nothing(alone: System) -> None:
    alone.environment["API_DRAIN_SECONDS"] = str(QUICK_DRAIN_SECONDS)
    await alone.start(*HEADS)
    await alone.control("PUT", "matching", {"mode": "auto", "fill_delay_ms": 100, "fills_per_order": 2})
    await alone.control("PUT", "faults", {"latency_ms": 100})
    load, watchers = Load(alone), [Watcher(alone, account) for account in ACCOUNTS]
    running = [asyncio.create_task(watcher.run()) for watcher in watchers]
    await eventually(lambda: all(watcher.is_open for watcher in watchers), within_seconds=10, what="all watch")
    running.insert(0, asyncio.create_task(load.run()))

    for head in HEADS:
        assert ended_well(await alone.end(head))
        await load.goes_on()
        await alone.start(head)
    load.may_go_on = False
    await running[0]

    for watcher in watchers:
        orders = [order_id for order_id, account in load.placed.items() if account == watcher.account]
        await watcher.sees_out(orders)
        assert watcher.versions.keys() == set(orders)
        for versions in watcher.versions.values():
            assert versions == list(range(1, len(versions) + 1))
        assert watcher.resumed > 0
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    accepted = [entry["client_order_id"] for entry in await alone.journal("order")]
    assert len(accepted) == len(set(accepted)) == len(load.placed)
    for order_id, account in load.placed.items():
        assert (await alone.order(order_id, account=account))["status"] == "FILLED"


@dataclass(slots=True)
class Load:
    """A front end that places an order at intervals, at any API that answers, until it has an answer."""

    system: System
    placed: dict[str, str] = field(default_factory=dict)
    may_go_on: bool = True

    async def run(self) -> None:
        number = 0
        while self.may_go_on:
            number += 1
            account = ACCOUNTS[number % len(ACCOUNTS)]
            order_id = await self._place(account, client_order_id=secrets.token_hex(8))
            assert order_id not in self.placed
            self.placed[order_id] = account
            await asyncio.sleep(ORDERS_PAUSE_SECONDS)

    async def goes_on(self) -> None:
        """Wait until one more order is placed."""
        placed = len(self.placed)
        await eventually(lambda: len(self.placed) > placed, within_seconds=10, what="one more order is placed")

    async def _place(self, account: str, *, client_order_id: str) -> str:
        """Repeat the same order until it is answered, like a front end."""
        async with asyncio.timeout(15):
            while True:
                for head in ("api", "api-2"):
                    try:
                        result = await self.system.place(client_order_id=client_order_id, account=account, head=head)
                    except aiohttp.ClientError:
                        continue
                    if result["__typename"] == "PlaceOrderSuccess":
                        order_id: str = result["order"]["id"]
                        return order_id


@dataclass(slots=True)
class Watcher:
    """A subscriber of an account that reconnects with its cursor, to any API that accepts it."""

    system: System
    account: str
    versions: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    final: set[str] = field(default_factory=set)
    is_open: bool = False
    resumed: int = 0
    _cursor: str | None = None

    async def run(self) -> None:
        while True:
            for head in ("api", "api-2"):
                try:
                    async with self.system.socket(account=self.account, head=head) as socket:
                        await self._watch(await socket.subscribe(WATCH_ALL, {"after": self._cursor}))
                except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                    await asyncio.sleep(0.05)

    async def sees_out(self, orders: list[str]) -> None:
        """Wait until the final change of every one of the orders was received."""
        await eventually(lambda: self.final.issuperset(orders), within_seconds=30, what=f"{self.account} sees all ends")

    async def _watch(self, watching: Subscription) -> None:
        self.resumed += self._cursor is not None
        while (payload := await watching.received.get()) is not None:
            update: Json = payload["data"]["orderUpdates"]
            assert update["kind"] in {"CHECKPOINT", "CHANGE"}, update
            self.is_open, self._cursor = True, update["cursor"]
            if update["kind"] == "CHANGE":
                order = update["order"]
                self.versions[order["id"]].append(order["version"])
                self.final |= {order["id"]} if order["isFinal"] else set()


async def _until_closed(system: System) -> tuple[int, float]:
    """Read until the server closes; return its code and the time."""
    async with system.socket() as socket:
        await socket.subscribe(WATCH_ALL)
        await socket.connection.wait_closed()
        assert socket.connection.close_code is not None
        return socket.connection.close_code, time.monotonic()


async def _refusal_of_a_socket(system: System) -> int:
    try:
        async with system.socket():
            return 0
    except InvalidHandshake as error:
        response = getattr(error, "response", None)
        return response.status_code if response is not None else -1


async def _has_sockets(system: System, count: int) -> bool:
    return await system.metric("subscribers") == count


async def _has_orders(system: System, count: int) -> bool:
    return await system.metric("orders_stored_total") == count


async def _is_unready(system: System) -> bool:
    """Return whether a load balancer would remove it: the probes answer as long as the process runs."""
    async with system.session.get(f"{system.probes_url('api')}/readyz") as response:
        return response.status == 503
