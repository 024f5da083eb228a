"""End to end: from the exchange's execution to the subscriber's frame, at 100 and at 1 000 executions a second.

Exchange, ingest, PostgreSQL, Valkey and API are separate processes. The floor is the same pipe without domain or
GraphQL: the stream into one table, on through Redis, out of a websocket, every frame unchanged.
"""

from collections.abc import Sequence
from functools import partial

from benchmarks.deliver import SETTINGS, follow
from benchmarks.frame.bench import Bench
from benchmarks.frame.load import Driver, LoadFailedError, exchange_driver, load_generator
from benchmarks.frame.machine import CpuMeter
from benchmarks.frame.orders import QUANTITY, open_orders, settle
from benchmarks.frame.results import Sample, StageResult
from benchmarks.frame.servers import Server, open_gateway
from benchmarks.load.http import percentile

RATES = (100, 1_000)
SUBSCRIBERS = 100
HEARD_WITHIN_SECONDS = 30.0
OURS, PIPE = "fillwire", "the bare pipe"
MILLISECONDS = 1_000


async def measure(bench: Bench) -> StageResult:
    """Measure our way and the bare pipe at each rate."""
    accounts = [f"account-{number}" for number in range(SUBSCRIBERS)]
    result = StageResult()
    async with (
        open_gateway(bench, SETTINGS) as gateway,
        exchange_driver(port=gateway.exchange_port) as exchange,
        load_generator() as load,
        open_gateway(bench, redis_number=1) as pipe,
        exchange_driver(port=pipe.exchange_port) as pipe_exchange,
        load_generator() as pipe_load,
    ):
        ingest, api = await gateway.start("ingest"), await gateway.start("api")
        order_ids = await open_orders(gateway.database_url, exchange, ingest, SUBSCRIBERS, accounts=accounts)
        await follow(load, api, accounts, SUBSCRIBERS)
        pipe_sockets = await pipe.run(["-m", "benchmarks.floors.pipe_sockets"])
        pipe_ingest = await pipe.run(["-m", "benchmarks.floors.pipe_ingest"])
        names = [str(order_id) for order_id in order_ids]
        await pipe_load.order(
            "listen", port=pipe_sockets.port, says=[[name] for name in names], count=SUBSCRIBERS, opening=1
        )
        await pipe_exchange.order("place", client_order_ids=names, quantity=QUANTITY)
        await settle(1.0)
        for rate in RATES:
            rounds = await bench.take_turns(
                {
                    f"{OURS}, {rate}/s": partial(
                        trickle, bench, exchange, load, rate=rate, servers={"ingest": ingest, "api": api}
                    ),
                    f"{PIPE}, {rate}/s": partial(
                        trickle,
                        bench,
                        pipe_exchange,
                        pipe_load,
                        rate=rate,
                        servers={"in": pipe_ingest, "out": pipe_sockets},
                    ),
                }
            )
            result.add(rounds)
            for unit, target in (("p50 ms", 2), ("p99 ms", 3)):
                result.compare(
                    f"{unit} to {PIPE}'s, {rate}/s",
                    (rounds, f"{OURS}, {rate}/s"),
                    (rounds, f"{PIPE}, {rate}/s"),
                    unit,
                    at_most=target,
                )
    return result


async def trickle(bench: Bench, exchange: Driver, load: Driver, *, rate: int, servers: dict[str, Server]) -> Sample:
    """Execute at the rate for a while; return the time of each execution to its subscriber."""
    seconds = 2 * bench.seconds
    await load.order("reset")
    meter = CpuMeter({name: server.pid for name, server in servers.items()})
    spent = meter.read()
    made = await exchange.order("trickle", rate=rate, seconds=seconds)
    moments: Sequence[float] = made["moments"]
    heard = await load.order("hear", wanted=len(moments), within_seconds=HEARD_WITHIN_SECONDS)
    if heard["errors"]:
        raise LoadFailedError(heard["error"])
    taken = [iter(times) for times in heard["times"]]
    late = sorted(
        (next(taken[(made["first"] + number) % SUBSCRIBERS]) - moment) * MILLISECONDS
        for number, moment in enumerate(moments)
    )
    return {
        "p50 ms": percentile(late, 0.5),
        "p99 ms": percentile(late, 0.99),
        **meter.since(spent, per=len(late), of="execution"),
    }
