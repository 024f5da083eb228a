"""Abuse: latency of a regular client during each kind of attack on the same API process.

The limit of each attack is the process without attacks: the client's p99 must stay within twice of it. The client reads
its orders at a moderate rate, since the time of a commit depends on the disk and not on an attack; the attacker is a
separate process.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from benchmarks.accept import PLACE
from benchmarks.frame.bench import Bench, Contender
from benchmarks.frame.load import Driver, load_generator, open_driver
from benchmarks.frame.machine import CpuMeter, memory_bytes
from benchmarks.frame.results import Sample, StageResult
from benchmarks.frame.servers import ISIN, Server, open_gateway, token
from benchmarks.load.http import ID_PLACEHOLDER, HttpLoad, post
from domain.model.order_query import PAGE_MAX_ROWS
from graph.schema.global_ids import execution_node_id

HONEST_RATE, HONEST_CLIENTS = 100, 8
SECONDS_MIN, SECONDS_MAX = 4.0, 4.5
"""Long enough for a p99 of some hundred answers, and shorter than the API keeps an idle connection."""
AFTERWARDS_SECONDS = 3.0
SETTINGS = {"SUBSCRIBER_SEND_TIMEOUT_SECONDS": "1", "METRICS_RENDERED_EVERY_SECONDS": "1"}
SOCKETS = 10_000
MEBIBYTE = 1 << 20
Attack = Callable[..., Coroutine[Any, Any, dict[str, Any]]]
READ = "{ orders(first: 10) { nodes { id status filledQuantity instrument { isin } } } }"
EXECUTIONS = """
INSERT INTO executions (
    id, account_id, order_id, venue, venue_execution_id, fill_quantity, fill_price, executed_at, received_at
)
SELECT gen_random_uuid(), $2, gen_random_uuid(), 'SIM', 'abuse-' || n, 1, 189.50, now(), now()
FROM generate_series(1, $1::int) AS n
RETURNING id
"""
QUIET = "quiet"
HONEST, ATTACKER = "honest", "attacker"


async def measure(bench: Bench) -> StageResult:
    """Measure the process without attacks and with each attack, alternately."""
    result, met = StageResult(), dict[str, Counter[str]]()
    async with (
        open_gateway(bench, SETTINGS) as gateway,
        load_generator() as generator,
        open_driver("benchmarks.load.attacker") as attacker,
    ):
        api = await gateway.start("api")
        await generator.ask(place_orders(api, HONEST))
        executions = await store_executions(gateway.database_url)
        contenders: dict[str, Contender] = {QUIET: partial(read, bench, generator, api)}
        for name, attack in attacks(api, executions).items():
            met[name] = Counter()
            ordered = partial(attacker.order, **{"port": api.port, **attack})
            contenders[name] = partial(endure, bench, generator, api, ordered, met[name])
        rounds = await bench.take_turns(contenders)
    result.add(rounds)
    for name in met:
        result.compare(f"times {QUIET}, {name}", (rounds, name), (rounds, QUIET), "p99 ms", at_most=2)
    result.notes.extend(f"{name}: {_said(counted)}" for name, counted in met.items())
    return result


def attacks(api: Server, executions: Sequence[UUID]) -> Mapping[str, Mapping[str, Any]]:
    """Each attack: what the attacker is ordered to do, on `port` where it is not the API's own.

    The executions are the attacker's own.
    """
    ids = orjson.dumps([execution_node_id(one) for one in executions]).decode()
    return {
        "a peer that stops reading": {
            "load": "stall",
            "token": token(ATTACKER),
            "order": order_request(ATTACKER),
        },
        "10 000 sockets of strangers": {"load": "crowd", "tokens": [], "count": SOCKETS},
        "10 000 sockets of one account": {"load": "crowd", "tokens": [token(ATTACKER)], "count": SOCKETS},
        "messages without end on a socket": {"load": "flood", "token": token(ATTACKER)},
        "64 connections that ask in circles": {
            "load": "circles",
            "token": token(ATTACKER),
            "query": READ,
            "connections": 64,
        },
        "nodes of executions": {
            "load": "circles",
            "token": token(ATTACKER),
            "query": f"{{ nodes(ids: {ids}) {{ id ... on Execution {{ quantity price executedAt }} }} }}",
            "connections": 64,
        },
        "documents of 20 MB": {"load": "large", "token": token(ATTACKER)},
        "documents with 5000 aliases": {"load": "aliases", "token": token(ATTACKER)},
        "documents 2000 levels deep": {"load": "deep", "token": token(ATTACKER)},
        "50 clients that ask for metrics": {"load": "metrics", "port": api.probes_port, "clients": 50},
    }


async def endure(bench: Bench, generator: Driver, api: Server, attack: Attack, met: Counter[str]) -> Sample:
    """Run an attack while the regular client reads."""
    before = memory_bytes(api.pid)
    attacking = asyncio.create_task(attack(seconds=_seconds(bench) + 1))
    sample = dict(await read(bench, generator, api))
    answer = await attacking
    met.update(answer["met"])
    # Memory of closed sockets is freed within some seconds.
    await asyncio.sleep(AFTERWARDS_SECONDS)
    sample["MiB more afterwards"] = (memory_bytes(api.pid) - before) / MEBIBYTE
    if "seconds" in answer:
        sample["cut off after s"] = answer["seconds"]
    return sample


async def read(bench: Bench, generator: Driver, api: Server) -> Sample:
    """Return the latencies of the regular client."""
    load = HttpLoad(
        port=api.port,
        requests=[post("/graphql", orjson.dumps({"query": READ}).decode(), token=token(HONEST))],
        concurrency=HONEST_CLIENTS,
        seconds=_seconds(bench),
        expect=ISIN,
        rate=HONEST_RATE,
    )
    meter = CpuMeter({"api": api.pid})
    before = meter.read()
    answer = await generator.ask(load)
    seconds = meter.read()["api"] - before["api"]
    return {
        "p50 ms": answer["p50 ms"],
        "p99 ms": answer["p99 ms"],
        "api CPU %": 100 * seconds / (load.seconds + load.warm_up_seconds),
        "MiB": memory_bytes(api.pid) / MEBIBYTE,
    }


def place_orders(api: Server, account: str) -> HttpLoad:
    """Return the load that places some orders for the account."""
    return HttpLoad(
        port=api.port,
        requests=[order_request(account)],
        concurrency=1,
        seconds=0.5,
        expect="PlaceOrderSuccess",
    )


async def store_executions(url: str) -> Sequence[UUID]:
    """Store the number of the attacker's executions that one `nodes` may read; return their ids."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(EXECUTIONS, PAGE_MAX_ROWS, ATTACKER)
    finally:
        await connection.close()
    return [row["id"] for row in rows]


def order_request(account: str) -> str:
    """Return a request that places a new order each time it is sent."""
    order = {
        "clientOrderId": ID_PLACEHOLDER,
        "isin": ISIN,
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "100",
        "limitPrice": "189.50",
    }
    body = orjson.dumps({"query": PLACE, "variables": {"input": order}}).decode()
    return post("/graphql", body, token=token(account))


def _seconds(bench: Bench) -> float:
    return min(max(SECONDS_MIN, bench.seconds), SECONDS_MAX)


def _said(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counted.most_common())
