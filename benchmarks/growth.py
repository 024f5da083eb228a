"""Growth: the cost of a unit at 1, 10 and 100 times the work, for each stage of an order's life.

A cost is the processor time of our processes and of PostgreSQL together. It must not rise with the work; at the least
work it is higher, since work that is done once for a batch, or every second, is shared by few.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from redis.asyncio import Redis

from benchmarks import accept, catch_up, deliver, place, record
from benchmarks.frame.bench import Bench
from benchmarks.frame.load import exchange_driver, load_generator
from benchmarks.frame.orders import accept_orders, open_clerk, open_orders
from benchmarks.frame.results import Rounds, Sample, StageResult
from benchmarks.frame.servers import open_gateway

FACTORS = (1, 10, 100)
RISE_MAX = 1.2
CLIENTS = 2
ORDERS = 100
EXECUTIONS, MISSED = 1_000, 1_000
SUBSCRIBERS = 50
CHANGES = 20
UNIT = "CPU µs/unit"
Work = Callable[[int], Awaitable[Sample]]
"""Does so many times the least work, and tells what it showed."""


async def measure(bench: Bench) -> StageResult:
    """Measure every stage at each factor."""
    result = StageResult()
    for stage, open_work in STAGES.items():
        rounds = Rounds()
        async with open_work(bench) as work:
            for factor in FACTORS:
                await work(factor)
                for _ in range(bench.rounds):
                    rounds.note(f"{stage}, {factor}", {UNIT: cost(await work(factor))})
        result.add(rounds)
        least, *_, most = FACTORS
        result.compare(
            f"{stage}: {most} times the work to once",
            (rounds, f"{stage}, {most}"),
            (rounds, f"{stage}, {least}"),
            UNIT,
            at_most=RISE_MAX,
        )
    return result


def cost(sample: Sample) -> float:
    """Return the microseconds of a unit in all processes except the exchange, which is not ours."""
    return sum(value for unit, value in sample.items() if " CPU µs/" in unit and not unit.startswith("exchange"))


@asynccontextmanager
async def accepting(bench: Bench) -> AsyncIterator[Work]:
    """Orders over HTTP from 2, 20 and 200 clients."""
    async with open_gateway(bench) as gateway, load_generator() as generator:
        api = await gateway.start("api")
        yield lambda factor: accept.place(bench, generator, api, clients=CLIENTS * factor)


@asynccontextmanager
async def placing(bench: Bench) -> AsyncIterator[Work]:
    """Measure 100, 1 000 and 10 000 orders that are due at the same time."""
    async with open_gateway(bench, place.SETTINGS) as gateway, exchange_driver(port=gateway.exchange_port) as exchange:
        worker = await gateway.start("worker")
        yield lambda factor: place.place(bench, gateway, exchange, worker, ORDERS * factor)


@asynccontextmanager
async def recording(bench: Bench) -> AsyncIterator[Work]:
    """Measure 1 000, 10 000 and 100 000 executions at the same time."""
    async with open_gateway(bench) as gateway, exchange_driver(port=gateway.exchange_port) as exchange:
        ingest = await gateway.start("ingest")
        accounts = [f"account-{number}" for number in range(record.ACCOUNTS)]
        await open_orders(gateway.database_url, exchange, ingest, record.ORDERS, accounts=accounts)
        yield lambda factor: record.record(bench, exchange, ingest, EXECUTIONS * factor)


@asynccontextmanager
async def catching_up(bench: Bench) -> AsyncIterator[Work]:
    """Measure 1 000, 10 000 and 100 000 executions that the stream did not deliver."""

    async def work(factor: int) -> Sample:
        async with open_gateway(bench) as gateway, exchange_driver(port=gateway.exchange_port) as exchange:
            await catch_up.hear(bench, gateway, exchange, EXECUTIONS)
            await exchange.order("burst", count=MISSED * factor)
            return await catch_up.catch_up(bench, gateway, exchange, MISSED * factor)

    yield work


@asynccontextmanager
async def delivering(bench: Bench) -> AsyncIterator[Work]:
    """Measure the same changes to 50, 500 and 5 000 subscribers."""
    async with (
        open_gateway(bench, deliver.SETTINGS) as gateway,
        load_generator() as load,
        Redis.from_url(gateway.redis_url) as redis,
        open_clerk(gateway.database_url) as clerk,
    ):
        api = await gateway.start("api")
        orders = await accept_orders(gateway.database_url, CHANGES, accounts=[deliver.ACCOUNT])
        writer, listening = deliver.Writer(clerk, orders), 0

        async def work(factor: int) -> Sample:
            nonlocal listening
            wanted = SUBSCRIBERS * factor
            if wanted > listening:
                await deliver.follow(load, api, [deliver.ACCOUNT], wanted - listening)
                listening = wanted
            messages = [deliver.message_of(change) for change in await writer.fill()]
            return await deliver.fan_out(redis, load, api, messages, wanted)

        yield work


STAGES: Mapping[str, Callable[[Bench], AbstractAsyncContextManager[Work]]] = {
    "accept": accepting,
    "place": placing,
    "record": recording,
    "catch up": catching_up,
    "deliver": delivering,
}
