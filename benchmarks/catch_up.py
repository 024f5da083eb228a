"""Catch up: executions that the stream did not deliver, read over the exchange's REST interface when ingest is back.

The limit is the rate at which an ingest records from the stream, in the same run.
"""

import time
from contextlib import AsyncExitStack
from dataclasses import replace

from benchmarks.frame.bench import Bench
from benchmarks.frame.load import Driver, exchange_driver
from benchmarks.frame.orders import open_orders, reaches
from benchmarks.frame.results import Rounds, Sample, StageResult
from benchmarks.frame.servers import Gateway, open_gateway
from benchmarks.record import ACCOUNTS, ORDERS, UNIT, record

MISSED, SHORT_MISSED = 100_000, 10_000
STREAMED, SHORT_STREAMED = 20_000, 5_000
WITHIN_SECONDS = 300.0
OURS, STREAM = "caught up", "recorded from the stream"


async def measure(bench: Bench) -> StageResult:
    """In each round record some by an ingest, stop it, miss many, and start it again."""
    missed, streamed = (SHORT_MISSED, SHORT_STREAMED) if bench.is_short else (MISSED, STREAMED)
    rounds = Rounds()
    for _ in range(bench.rounds if bench.is_short else 1):
        async with open_gateway(bench) as gateway, exchange_driver(port=gateway.exchange_port) as exchange:
            rounds.note(STREAM, await hear(bench, gateway, exchange, streamed))
            await exchange.order("burst", count=missed)
            rounds.note(OURS, await catch_up(bench, gateway, exchange, missed))
    result = StageResult()
    result.add(rounds)
    result.compare(f"of what is {STREAM}", (rounds, OURS), (rounds, STREAM), UNIT, at_least=0.8)
    return result


async def hear(bench: Bench, gateway: Gateway, exchange: Driver, executions: int) -> Sample:
    """Record from the stream; then stop ingest."""
    async with AsyncExitStack() as stack:
        ingest = await replace(gateway, stack=stack).start("ingest")
        accounts = [f"account-{number}" for number in range(ACCOUNTS)]
        await open_orders(gateway.database_url, exchange, ingest, ORDERS, accounts=accounts)
        await record(bench, exchange, ingest, executions)
        return await record(bench, exchange, ingest, executions)


async def catch_up(bench: Bench, gateway: Gateway, exchange: Driver, missed: int) -> Sample:
    """Start ingest, and wait until it has recorded and published all missed executions."""
    ingest = await gateway.start("ingest")
    meter = await bench.meter(ingest=ingest.pid, exchange=exchange.pid)
    spent, began = meter.read(), time.perf_counter()
    await reaches(ingest, "changes_published", missed, within_seconds=WITHIN_SECONDS)
    return {UNIT: missed / (time.perf_counter() - began), **meter.since(spent, per=missed, of="execution")}
