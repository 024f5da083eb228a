"""Place: orders submitted by one worker to an exchange that answers immediately, and to one that takes 500 ms.

Many are due at the start and their wake-ups are queued; the time runs until the exchange has all. The limit is the
worker's HTTP client alone, from as many tasks, with the same bodies; beside it aiohttp alone at 0 ms, and the slots
divided by the latency at 500.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import orjson
from redis.asyncio import Redis

from benchmarks.frame.bench import Bench
from benchmarks.frame.load import Driver, exchange_driver, open_driver
from benchmarks.frame.machine import CpuMeter
from benchmarks.frame.orders import accept_orders, metric, reaches
from benchmarks.frame.results import Ratio, Sample, StageResult
from benchmarks.frame.servers import Gateway, Server, open_gateway
from domain.model.values import Terms
from exchange.alpaca.orders import order_json
from jobs.queue import open_queue
from jobs.wake_ups import SaqWakeUps
from tests.support.examples import new_order, now
from tests.support.fakes.telemetry import RecordingTelemetry

SLOTS = 128
ACCOUNTS = 64
SLOW_MS = 500.0
SLOW_WAVES = 10
SHORT_SLOW_WAVES = 4
ORDERS_PER_SECOND = 3_000
LAST_LOOKS_SECONDS = 0.01
WITHIN_SECONDS = 60.0
JOB_TIMEOUT_SECONDS = 60
SETTINGS = {
    "PLACEMENT_SLOTS": str(SLOTS),
    # Orders of the bare clients at the exchange are not stored here; paging through them is not part of the
    # measurement.
    "RECONCILE_EVERY_SECONDS": "3600",
    # On a machine with other load, attempts that are not recorded in time wait for their lease, and delay the round.
    "DATABASE_CALL_TIMEOUT_SECONDS": "20",
    "DATABASE_STATEMENT_TIMEOUT_SECONDS": "20",
    "DATABASE_LOCK_TIMEOUT_SECONDS": "20",
}
OURS, CLIENT, AIOHTTP = "fillwire", "the HTTP client alone", "aiohttp alone"
UNIT = "orders/s"


async def measure(bench: Bench) -> StageResult:
    """Measure the worker at both latencies, and the bare client at none."""
    at_once = round(ORDERS_PER_SECOND * bench.seconds)
    waves = SHORT_SLOW_WAVES if bench.is_short else SLOW_WAVES
    async with (
        open_gateway(bench, SETTINGS) as gateway,
        exchange_driver(port=gateway.exchange_port) as exchange,
        open_driver("benchmarks.floors.http_client") as client,
    ):
        worker = await gateway.start("worker")

        async def ours() -> Sample:
            return await place(bench, gateway, exchange, worker, at_once)

        async def bare() -> Sample:
            return await post_bare("post", gateway, client, exchange, at_once)

        async def slow_bare() -> Sample:
            await exchange.order("be_slow", latency_ms=SLOW_MS)
            sample = await post_bare("post", gateway, client, exchange, waves * SLOTS)
            await exchange.order("be_slow", latency_ms=0)
            return sample

        async def by_aiohttp() -> Sample:
            return await post_bare("post_by_aiohttp", gateway, client, exchange, at_once)

        async def slow() -> Sample:
            await exchange.order("be_slow", latency_ms=SLOW_MS)
            sample = await place(bench, gateway, exchange, worker, waves * SLOTS)
            await exchange.order("be_slow", latency_ms=0)
            return sample

        fast_rounds = await bench.take_turns(
            {f"{OURS}, 0 ms": ours, f"{CLIENT}, 0 ms": bare, f"{AIOHTTP}, 0 ms": by_aiohttp}
        )
        slow_rounds = await bench.take_turns({f"{OURS}, 500 ms": slow, f"{CLIENT}, 500 ms": slow_bare}, warm_up=False)
    result = StageResult()
    result.add(fast_rounds)
    result.add(slow_rounds)
    result.compare(
        f"of {CLIENT}, 0 ms", (fast_rounds, f"{OURS}, 0 ms"), (fast_rounds, f"{CLIENT}, 0 ms"), UNIT, at_least=0.5
    )
    result.compare(f"of {AIOHTTP}, 0 ms", (fast_rounds, f"{OURS}, 0 ms"), (fast_rounds, f"{AIOHTTP}, 0 ms"), UNIT)
    # Slots divided by the latency alone leave no time for reading 128 answers at once, which any client needs.
    result.compare(
        f"of {CLIENT}, 500 ms",
        (slow_rounds, f"{OURS}, 500 ms"),
        (slow_rounds, f"{CLIENT}, 500 ms"),
        UNIT,
        at_least=0.95,
    )
    limit = SLOTS / (SLOW_MS / 1_000)
    samples = [rate / limit for rate in slow_rounds.samples(f"{OURS}, 500 ms", UNIT)]
    result.ratios.append(Ratio(name="of slots ÷ latency, 500 ms", samples=samples))
    return result


async def place(bench: Bench, gateway: Gateway, exchange: Driver, worker: Server, count: int) -> Sample:
    """Place that number of orders."""
    ids = await accept_orders(gateway.database_url, count, accounts=accounts(), quantity="100")
    before = await metric(worker, "orders_placed")
    meter = await bench.meter(worker=worker.pid, exchange=exchange.pid)
    await exchange.order("count")
    spent, began = meter.read(), time.perf_counter()
    await wake(gateway, ids)
    # Reading the worker's metrics costs it milliseconds: not before the exchange has all.
    await exchange.order("have", more=count, within_seconds=WITHIN_SECONDS)
    await reaches(
        worker, "orders_placed", before + count, within_seconds=WITHIN_SECONDS, every_seconds=LAST_LOOKS_SECONDS
    )
    return {UNIT: count / (time.perf_counter() - began), **meter.since(spent, per=count, of="order")}


async def wake(gateway: Gateway, ids: Sequence[UUID]) -> None:
    """Enqueue the orders as the API does, several to a job."""
    async with Redis.from_url(gateway.redis_url) as redis:
        wake_ups = SaqWakeUps(
            open_queue(redis, telemetry=RecordingTelemetry()),
            RecordingTelemetry(),
            enqueue_timeout_seconds=WITHIN_SECONDS,
            job_timeout_seconds=JOB_TIMEOUT_SECONDS,
        )
        wake_ups.placement_due(ids, within=timedelta(0))
        await wake_ups.flush()


async def post_bare(way: str, gateway: Gateway, client: Driver, exchange: Driver, count: int) -> Sample:
    """Post the same submissions, from one task for each slot of the worker."""
    orders = [new_order(account_id="nobody", client_order_id="bare", at=now(), quantity="100") for _ in range(count)]
    meter = CpuMeter({"client": client.pid, "exchange": exchange.pid})
    spent = meter.read()
    answer = await client.order(
        way,
        url=f"http://127.0.0.1:{gateway.exchange_port}",
        bodies=[body_of(order.venue_client_order_id, order.terms) for order in orders],
        at_once=SLOTS,
    )
    return {UNIT: count / answer["seconds"], **meter.since(spent, per=count, of="order")}


def body_of(name: str, terms: Terms) -> str:
    """Return the body that the worker sends for such an order."""
    return orjson.dumps(order_json(name, terms)).decode()


def accounts() -> Sequence[str]:
    """Return some accounts, so that no single row is a bottleneck."""
    return [f"account-{number}" for number in range(ACCOUNTS)]
