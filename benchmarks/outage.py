"""Accept during an outage of the exchange: placeOrder at a steady rate while the exchange is down, hangs or refuses
connections.

Each state has its own complete gateway: API, worker, ingest, exchange. Down, every request is answered with an error;
hanging, connections are accepted without an answer; refusing, its port is closed. The result is the latency compared
with that with a healthy exchange.
"""

import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import aiohttp

from benchmarks.accept import place
from benchmarks.frame.bench import Bench
from benchmarks.frame.load import load_generator
from benchmarks.frame.orders import settle
from benchmarks.frame.results import StageResult
from benchmarks.frame.servers import Gateway, Server, open_gateway
from exchange.simulator.keys import VenueKeys

RATE = 200.0
CLIENTS = 32
HEALTHY = "healthy"


async def measure(bench: Bench) -> StageResult:
    """Measure the same load against each state of the exchange."""
    async with load_generator() as generator, AsyncExitStack() as stack:
        contenders = {}
        for number, (state, harm) in enumerate(STATES.items()):
            gateway = await stack.enter_async_context(open_gateway(bench, redis_number=number))
            api = await start(gateway, harm)
            contenders[state] = partial(place, bench, generator, api, clients=CLIENTS, rate=RATE)
        await settle(1.0)
        rounds = await bench.take_turns(contenders)
    result = StageResult()
    result.add(rounds)
    for state in STATES:
        for unit in ("p50 ms", "p99 ms"):
            if state != HEALTHY:
                result.compare(f"{unit}, {state}", (rounds, state), (rounds, HEALTHY), unit, at_most=1.1)
    return result


async def start(gateway: Gateway, harm: Callable[[Server], Awaitable[None]]) -> Server:
    """Start everything, set the exchange's state, and return the API."""
    exchange = await gateway.start("exchange")
    await control(exchange, "faults", {"latency_ms": 20, "refuse_rate": 0})
    await control(exchange, "matching", {"fill_delay_ms": 50, "fills_per_order": 1})
    api = await gateway.start("api")
    await gateway.start("worker")
    await gateway.start("ingest")
    await harm(exchange)
    return api


async def control(exchange: Server, what: str, settings: Mapping[str, object]) -> None:
    """Set one of the exchange's controls."""
    url = f"{exchange.url}/simulator/{what}"
    headers = VenueKeys().headers
    async with aiohttp.ClientSession() as session, session.put(url, json=settings, headers=headers) as answer:
        answer.raise_for_status()


async def _spare(_exchange: Server) -> None:
    return


async def _take_down(exchange: Server) -> None:
    await control(exchange, "faults", {"down": True})


async def _hang(exchange: Server) -> None:
    exchange.process.send(signal.SIGSTOP)


async def _kill(exchange: Server) -> None:
    await exchange.process.kill()


STATES = {HEALTHY: _spare, "down": _take_down, "hanging": _hang, "refusing": _kill}
