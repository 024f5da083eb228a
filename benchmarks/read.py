"""Read: one order, and a page of fifty, with ten thousand and with a million orders stored.

The floor is only the SQL on the same number of connections. A read must cost the same with a million orders as with ten
thousand.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import asyncpg
import orjson

from benchmarks.frame.bench import Bench, Contender
from benchmarks.frame.load import Driver, load_generator, open_driver
from benchmarks.frame.machine import CpuMeter
from benchmarks.frame.results import Sample, StageResult
from benchmarks.frame.servers import ISIN, SYMBOL, Gateway, Server, open_gateway, token
from benchmarks.load.http import HttpLoad, post
from graph.schema.global_ids import order_node_id

FEW, MANY = 10_000, 1_000_000
SHORT_MANY = 100_000
ACCOUNTS = 100
CLIENTS = 32
READ_ORDERS = 2_000
FILL_TIMEOUT_SECONDS = 300.0
FIELDS = "id clientOrderId status version side type quantity limitPrice filledQuantity averagePrice createdAt updatedAt"
ORDER = f"query Read($id: ID!) {{ order(id: $id) {{ {FIELDS} }} }}"
PAGE = f"query Page {{ orders(first: 50) {{ nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}"
# As accepting leaves them: every account has its share, each a moment younger than the one before.
FILL = """
INSERT INTO orders (id, account_id, client_order_id, isin, symbol, side, type, time_in_force, quantity, limit_price,
    status, created_at, updated_at, venue_client_order_id)
SELECT gen_random_uuid(), 'reader-' || n % $2, 'order-' || n, $3, $4, 'BUY', 'LIMIT', 'DAY', 100, 189.50,
    'PENDING', now() - n * interval '1 second', now() - n * interval '1 second',
    'bench-' || n
FROM generate_series(1, $1::int) AS n
"""
SOME = "SELECT id, account_id FROM orders ORDER BY created_at DESC LIMIT $1"
OURS, SQL = "fillwire", "the SQL alone"
UNIT = "reads/s"


async def measure(bench: Bench) -> StageResult:
    """Measure both reads at both sizes, and their SQL."""
    many = SHORT_MANY if bench.is_short else MANY
    async with (
        open_gateway(bench) as few_gateway,
        open_gateway(bench, redis_number=1) as many_gateway,
        load_generator() as load,
        open_driver("benchmarks.floors.bare_reads") as reader,
    ):
        contenders: dict[str, Contender] = {}
        for gateway, size in ((few_gateway, FEW), (many_gateway, many)):
            contenders |= await contenders_of(bench, gateway, size, load=load, reader=reader)
        rounds = await bench.take_turns(contenders)
    result = StageResult()
    result.add(rounds)
    for read in ("order", "page"):
        result.compare(
            f"of {SQL}, {read}, {many}",
            (rounds, f"{OURS}, {read}, {many}"),
            (rounds, f"{SQL}, {read}, {many}"),
            UNIT,
            at_least=0.3,
        )
        result.compare(
            f"{read}: {many} of {FEW}",
            (rounds, f"{OURS}, {read}, {many}"),
            (rounds, f"{OURS}, {read}, {FEW}"),
            UNIT,
            at_least=0.9,
        )
    return result


async def contenders_of(
    bench: Bench, gateway: Gateway, size: int, *, load: Driver, reader: Driver
) -> Mapping[str, Contender]:
    """Both reads by ours and by SQL, over a database of that size."""
    orders = await fill(gateway.database_url, size)
    api = await gateway.start("api")
    accounts = sorted({account for _, account in orders})
    by_id = [ask(ORDER, {"id": order_node_id(order_id)}, account) for order_id, account in orders]
    pages = [ask(PAGE, {}, account) for account in accounts]
    sql = partial(read_bare, bench, reader, gateway)
    return {
        f"{OURS}, order, {size}": partial(read, bench, load, api, by_id, expect="clientOrderId"),
        f"{SQL}, order, {size}": partial(sql, "order", [[str(order_id), account] for order_id, account in orders]),
        f"{OURS}, page, {size}": partial(read, bench, load, api, pages, expect="hasNextPage"),
        f"{SQL}, page, {size}": partial(sql, "page", [[account] for account in accounts]),
    }


async def read(bench: Bench, load: Driver, api: Server, requests: list[str], *, expect: str) -> Sample:
    """Read over HTTP."""
    meter = CpuMeter({"api": api.pid})
    spent = meter.read()
    asked = HttpLoad(port=api.port, requests=requests, concurrency=CLIENTS, seconds=bench.seconds, expect=expect)
    answer = await load.ask(asked)
    return {UNIT: answer["rate"], "p99 ms": answer["p99 ms"], **meter.since(spent, per=answer["sent"], of="read")}


async def read_bare(
    bench: Bench, reader: Driver, gateway: Gateway, statement: str, arguments: list[list[str]]
) -> Sample:
    """Read by SQL."""
    answer = await reader.order(
        "read",
        url=gateway.database_url,
        statement=statement,
        arguments=arguments,
        at_once=CLIENTS,
        seconds=bench.seconds,
    )
    return {UNIT: answer["rate"]}


async def fill(url: str, count: int) -> Sequence[tuple[UUID, str]]:
    """Store that number of orders; return some of them with their accounts."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(FILL, count, ACCOUNTS, ISIN, SYMBOL, timeout=FILL_TIMEOUT_SECONDS)
        await connection.execute("VACUUM ANALYZE orders", timeout=FILL_TIMEOUT_SECONDS)
        rows = await connection.fetch(SOME, READ_ORDERS)
    finally:
        await connection.close()
    return [(row["id"], row["account_id"]) for row in rows]


def ask(query: str, variables: Mapping[str, str], account: str) -> str:
    """Return the request for a read of that account."""
    body = orjson.dumps({"query": query, "variables": variables}).decode()
    return post("/graphql", body, token=token(account))
