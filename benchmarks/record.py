"""Record: executions from the exchange's websocket to committed and published, by one ingest.

The exchange has executed everything before the first frame leaves it, so only ingest is measured. The floors: (a) the
same rows written directly, a transaction for each 500; (b) a transaction for each execution.
"""

import time

from benchmarks.floors.bare_rows import Rows, copy_orders, read_rows, write_in_batches, write_one_by_one
from benchmarks.frame.bench import Bench
from benchmarks.frame.load import Driver, exchange_driver
from benchmarks.frame.orders import metric, open_orders, reaches
from benchmarks.frame.results import Sample, StageResult
from benchmarks.frame.servers import Server, open_gateway

ORDERS, ACCOUNTS = 2_000, 64
EXECUTIONS_PER_SECOND = 20_000
ONE_BY_ONE_SHARE = 20
WITHIN_SECONDS = 60.0
OURS, BATCHES, SINGLY = "fillwire", "bare rows, 500 a transaction", "a transaction for each"
UNIT = "executions/s"


async def measure(bench: Bench) -> StageResult:
    """Measure recording and the same rows written directly."""
    executions = round(EXECUTIONS_PER_SECOND * bench.seconds)
    bare_url, single_url = await bench.fresh_database(), await bench.fresh_database()
    async with open_gateway(bench) as gateway, exchange_driver(port=gateway.exchange_port) as exchange:
        ingest = await gateway.start("ingest")
        accounts = [f"account-{number}" for number in range(ACCOUNTS)]
        await open_orders(gateway.database_url, exchange, ingest, ORDERS, accounts=accounts)
        for url in (bare_url, single_url):
            await copy_orders(gateway.database_url, url)
        await record(bench, exchange, ingest, executions)
        rows = await read_rows(gateway.database_url, last=executions)
        some = Rows(
            executions=rows.executions[: executions // ONE_BY_ONE_SHARE],
            changes=rows.changes[: executions // ONE_BY_ONE_SHARE],
        )
        batches, singles = iter(range(1_000)), iter(range(1_000))

        async def ours() -> Sample:
            return await record(bench, exchange, ingest, executions)

        async def in_batches() -> Sample:
            return {UNIT: await write_in_batches(bare_url, rows.again(next(batches)))}

        async def one_by_one() -> Sample:
            return {UNIT: await write_one_by_one(single_url, some.again(next(singles)))}

        rounds = await bench.take_turns({OURS: ours, BATCHES: in_batches, SINGLY: one_by_one})
    result = StageResult()
    result.add(rounds)
    result.compare(f"of {BATCHES}", (rounds, OURS), (rounds, BATCHES), UNIT, at_least=0.7)
    result.compare(f"times {SINGLY}", (rounds, OURS), (rounds, SINGLY), UNIT, at_least=20)
    return result


async def record(bench: Bench, exchange: Driver, ingest: Server, executions: int) -> Sample:
    """Execute at the exchange, and wait until all of it is recorded and published."""
    before = await metric(ingest, "changes_published")
    meter = await bench.meter(ingest=ingest.pid, exchange=exchange.pid)
    await exchange.order("burst", count=executions)
    spent = meter.read()
    began = time.perf_counter()
    await reaches(ingest, "changes_published", before + executions, within_seconds=WITHIN_SECONDS)
    seconds = time.perf_counter() - began
    return {UNIT: executions / seconds, **meter.since(spent, per=executions, of="execution")}
