"""Soak: everything at once at a steady rate, `--seconds 1800` for half an hour. Nothing may grow or slow down.

Orders are placed, brought to the exchange, executed in three parts, recorded and followed. The time is cut into slices;
what counts is the last third beside the first: memory, tasks and connections, and the latency of accepting.
"""

import asyncpg

from benchmarks.accept import place_requests
from benchmarks.deliver import follow
from benchmarks.frame.bench import Bench
from benchmarks.frame.load import load_generator
from benchmarks.frame.machine import memory_bytes
from benchmarks.frame.orders import metric
from benchmarks.frame.results import Ratio, Rounds, StageResult
from benchmarks.frame.servers import Gateway, Server, open_gateway
from benchmarks.load.http import HttpLoad
from benchmarks.outage import control

RATE, CLIENTS = 50.0, 32
FOLLOWERS = 50
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


async def measure(bench: Bench) -> StageResult:
    """Run everything for `bench.seconds`, but at least a minute, a slice after the other."""
    seconds = max(bench.seconds, SECONDS_MIN)
    rounds = Rounds()
    async with open_gateway(bench) as gateway, load_generator() as asking, load_generator() as following:
        exchange = await gateway.start("exchange")
        await control(exchange, "faults", {"latency_ms": 20, "refuse_rate": 0})
        await control(exchange, "matching", {"fill_delay_ms": 50, "fills_per_order": 3})
        servers = {head: await gateway.start(head) for head in ("api", "worker", "ingest")}
        requests = place_requests()
        await follow(following, servers["api"], [f"follower-{number}" for number in range(FOLLOWERS)], FOLLOWERS)
        for _ in range(1 + SLICES):
            load = HttpLoad(
                port=servers["api"].port,
                requests=requests,
                concurrency=CLIENTS,
                seconds=seconds / SLICES,
                expect="PlaceOrderSuccess",
                rate=RATE,
            )
            answer = await asking.ask(load)
            rounds.note(RUN, {"p50 ms": answer["p50 ms"], "p99 ms": answer["p99 ms"], **await held(gateway, servers)})
    result = StageResult()
    result.add(rounds)
    for unit in rounds.taken[RUN][0]:
        result.ratios.append(drift(rounds, unit))
    return result


async def held(gateway: Gateway, servers: dict[str, Server]) -> dict[str, float]:
    """What every process holds."""
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
    """The last third of the slices beside the first, slice by slice; the very first one warms up."""
    samples = rounds.samples(RUN, unit)[1:]
    first, last = samples[:THIRD], samples[-THIRD:]
    return Ratio(
        name=f"{unit}, last third of the first",
        samples=[late / (early or 1.0) for early, late in zip(first, last, strict=True)],
        target=TARGETS.get(unit.rpartition(" ")[2], GROWTH_MAX),
        is_at_most=True,
    )
