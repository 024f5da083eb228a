"""Soak: everything together at a steady rate, `--seconds 1800` for half an hour. Nothing may grow or slow down.

Orders are placed, submitted to the exchange, executed in three parts, recorded, followed and read. The time is divided
into slices; the result compares the last third with the first: memory, tasks and connections, and the latency of
accepting and of reading.
"""

import asyncio
from collections.abc import Sequence

import asyncpg

from benchmarks.accept import place_requests
from benchmarks.deliver import follow
from benchmarks.frame.bench import Bench
from benchmarks.frame.load import Driver, LoadFailedError, load_generator
from benchmarks.frame.machine import memory_bytes
from benchmarks.frame.orders import metric
from benchmarks.frame.results import Ratio, Rounds, StageResult
from benchmarks.frame.servers import Gateway, Server, open_gateway
from benchmarks.load.http import HttpLoad
from benchmarks.outage import control
from benchmarks.read import PAGE, ask

RATE, CLIENTS = 50.0, 32
READ_RATE, READERS = 20.0, 8
ACCOUNTS = 100
MARKETABLE = "1000.00"
"""Far above what the exchange asks: an order that rested would stay open, and the open ones would be ever more."""
FOLLOWERS = 50
"""Of the accounts: every other change has a subscriber."""
HEARD_WITHIN_SECONDS = 1.0
SLICES = 12
THIRD = SLICES // 3
SECONDS_MIN = 60.0
MEBIBYTE = 1 << 20
GROWTH_MAX = 1.1
DRIFT_MAX = 1.25
TASKS_MAX = 1.5
"""Tasks come and go with what is under way at the moment of looking; a leak goes far beyond."""
TARGETS = {"ms": DRIFT_MAX, "tasks": TASKS_MAX}
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
RUN = "everything"
HEARD = "frames/s"


async def measure(bench: Bench) -> StageResult:
    """Run everything for `bench.seconds`, but at least a minute, a slice after the other."""
    seconds = max(bench.seconds, SECONDS_MIN)
    rounds = Rounds()
    async with (
        open_gateway(bench) as gateway,
        load_generator() as asking,
        load_generator() as reading,
        load_generator() as following,
    ):
        exchange = await gateway.start("exchange")
        await control(exchange, "faults", {"latency_ms": 20, "refuse_rate": 0})
        await control(exchange, "matching", {"fill_delay_ms": 50, "fills_per_order": 3})
        servers = {head: await gateway.start(head) for head in ("api", "worker", "ingest")}
        accounts = [f"account-{number}" for number in range(ACCOUNTS)]
        placing, pages = loads(accounts, port=servers["api"].port, seconds=seconds / SLICES)
        await follow(following, servers["api"], accounts[:FOLLOWERS], FOLLOWERS)
        for _ in range(1 + SLICES):
            await following.order("reset")
            placed, read = await asyncio.gather(asking.ask(placing), reading.ask(pages))
            sample = {
                "p50 ms": placed["p50 ms"],
                "p99 ms": placed["p99 ms"],
                "read p99 ms": read["p99 ms"],
                HEARD: await frames_received(following) / placing.seconds,
            }
            rounds.note(RUN, {**sample, **await held(gateway, servers)})
    result = StageResult()
    result.add(rounds)
    for unit in rounds.taken[RUN][0]:
        if unit != HEARD:
            result.ratios.append(drift(rounds, unit))
    return result


def loads(accounts: Sequence[str], *, port: int, seconds: float) -> tuple[HttpLoad, HttpLoad]:
    """Return the orders and reads of one slice."""
    placing = HttpLoad(
        port=port,
        requests=place_requests(accounts, limit_price=MARKETABLE),
        concurrency=CLIENTS,
        seconds=seconds,
        expect="PlaceOrderSuccess",
        rate=RATE,
    )
    pages = HttpLoad(
        port=port,
        requests=[ask(PAGE, {}, account) for account in accounts],
        concurrency=READERS,
        seconds=seconds,
        expect="hasNextPage",
        rate=READ_RATE,
    )
    return placing, pages


async def frames_received(following: Driver) -> int:
    """Return the number of frames since the last reset. Raises LoadFailedError when a socket was lost, or none
    arrived.
    """
    heard = await following.order("hear", wanted=1, within_seconds=HEARD_WITHIN_SECONDS)
    if heard["errors"]:
        raise LoadFailedError(heard["error"])
    return sum(len(times) for times in heard["times"])


async def held(gateway: Gateway, servers: dict[str, Server]) -> dict[str, float]:
    """Return the resources of every process."""
    connection = await asyncpg.connect(gateway.database_url)
    try:
        sample = {"connections": float(await connection.fetchval(CONNECTIONS))}
    finally:
        await connection.close()
    for name, server in servers.items():
        sample[f"{name} MiB"] = memory_bytes(server.pid) / MEBIBYTE
        sample[f"{name} tasks"] = await metric(server, "tasks")
    return sample


def drift(rounds: Rounds, unit: str) -> Ratio:
    """Compare the last third of the slices with the first, slice by slice; the very first one is a warm-up."""
    samples = rounds.samples(RUN, unit)[1:]
    first, last = samples[:THIRD], samples[-THIRD:]
    return Ratio(
        name=f"{unit}, last third of the first",
        samples=[late / (early or 1.0) for early, late in zip(first, last, strict=True)],
        target=TARGETS.get(unit.rpartition(" ")[2], GROWTH_MAX),
        is_at_most=True,
    )
