"""Accept: placeOrder over HTTP, durable and with its token checked, at 1, 32 and 256 clients.

The floors: (a) Starlette alone, giving back the same bytes; (b) the same with one bare INSERT before each answer, which
requests that wait together share: what HTTP and a durable row cost at least here; (c) plain Strawberry whose resolver
stores nothing; (d) our own API with one transaction a request instead of group commit. The peers: (e) FastAPI,
SQLAlchemy and Celery on Redis; (f) Mercurius with its JIT and pg, one insert a request. Neither checks a token.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from secrets import token_hex

import aiohttp
import orjson

from benchmarks.frame.bench import Bench, Contender
from benchmarks.frame.environments import PeerMissingError, node_of, python_of
from benchmarks.frame.load import Driver, load_generator
from benchmarks.frame.results import Sample, StageResult
from benchmarks.frame.servers import ISIN, Gateway, Server, open_gateway, token
from benchmarks.load.http import ID_PLACEHOLDER, HttpLoad, post
from tools.devstack.ports import free_port

CLIENTS = (1, 32, 256)
SHORT_CLIENTS = (32,)
ACCOUNTS = 64
"""Several, so that one transaction a request does not stand in line for one account's row."""
PLACE = """mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    __typename
    ... on PlaceOrderSuccess { replayed order { id clientOrderId status version quantity filledQuantity createdAt } }
    ... on UserError { code message }
  }
}"""
LIMIT_PRICE = "189.50"
ORDER = {
    "clientOrderId": ID_PLACEHOLDER,
    "isin": ISIN,
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "100",
    "limitPrice": LIMIT_PRICE,
}
OURS, BARE, PLAIN, UNGROUPED = "fillwire", "Starlette alone", "plain Strawberry, stores nothing", "no group commit"
INSERT = "HTTP and one INSERT"
FLOORS = (BARE, INSERT)
CELERY, MERCURIUS = "FastAPI + Celery", "Mercurius + pg"
PEERS = Path(__file__).with_name("peers")
TARGETS = {INSERT: 0.3, PLAIN: 2.5, UNGROUPED: 1.3, CELERY: 10.0}
"""What is aimed at from several clients on. Starlette alone stores nothing, and is shown without a target."""
TARGETS_OF_ONE_CLIENT = {INSERT: 0.4}
"""One client shares a commit with nobody, and the others answer before anything is on the disk."""


async def measure(bench: Bench) -> StageResult:
    """Measure all contenders at each number of clients."""
    result = StageResult()
    async with open_gateway(bench) as gateway, load_generator() as generator:
        servers = await start_servers(gateway)
        if not bench.is_short:
            servers |= await start_peers(gateway, result)
        for clients in SHORT_CLIENTS if bench.is_short else CLIENTS:
            contenders: Mapping[str, Contender] = {
                f"{name}, {clients}": partial(place, bench, generator, server, clients=clients, contender=name)
                for name, server in servers.items()
            }
            rounds = await bench.take_turns(contenders)
            result.add(rounds)
            for limit in list(servers)[1:]:
                targets = TARGETS_OF_ONE_CLIENT if clients == 1 else TARGETS
                result.compare(
                    f"{'of' if limit in FLOORS else 'times'} {limit}, {clients}",
                    (rounds, f"{OURS}, {clients}"),
                    (rounds, f"{limit}, {clients}"),
                    "orders/s",
                    at_least=targets.get(limit),
                )
    return result


async def start_servers(gateway: Gateway) -> dict[str, Server]:
    """Start the contenders, each serving on its own port."""
    api = await gateway.start("api")
    answer = await one_answer(api)
    return {
        OURS: api,
        BARE: await gateway.run(["-m", "benchmarks.floors.bare"], settings={"ANSWER": answer}),
        INSERT: await gateway.run(["-m", "benchmarks.floors.http_insert"], settings={"ANSWER": answer}),
        PLAIN: await gateway.run(["-m", "benchmarks.floors.plain_graphql"]),
        UNGROUPED: await gateway.run_head("api", ["-m", "benchmarks.floors.ungrouped_api"]),
    }


async def start_peers(gateway: Gateway, result: StageResult) -> dict[str, Server]:
    """Start the peers whose packages are available here; for the others the result has the reason."""
    servers: dict[str, Server] = {}
    try:
        folder, port = PEERS / "fastapi_celery", free_port()
        options = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "warning"]
        servers[CELERY] = await gateway.run(
            ["-m", "uvicorn", "app:app", "--port", str(port), *options],
            port=port,
            program=await python_of(folder),
            directory=folder,
        )
        folder = PEERS / "mercurius"
        servers[MERCURIUS] = await gateway.run(["server.js"], program=await node_of(folder), directory=folder)
    except PeerMissingError as reason:
        result.notes.append(f"A peer was left out: {reason}.")
    return servers


async def place(
    bench: Bench,
    generator: Driver,
    server: Server,
    *,
    clients: int,
    contender: str = OURS,
    rate: float | None = None,
) -> Sample:
    """Place orders for a while from that number of clients, at the rate when one is given."""
    is_rest = contender == CELERY
    load = HttpLoad(
        port=server.port,
        requests=[rest_request()] if is_rest else place_requests(),
        concurrency=clients,
        seconds=bench.seconds,
        expect="PENDING" if is_rest else "PlaceOrderSuccess",
        rate=rate,
    )
    meter = await bench.meter(server=server.pid)
    before = meter.read()
    answer = await generator.ask(load)
    return {
        "orders/s": answer["rate"],
        "p50 ms": answer["p50 ms"],
        "p99 ms": answer["p99 ms"],
        **meter.since(before, per=answer["sent"], of="order"),
    }


def place_requests(accounts: Sequence[str] = (), *, limit_price: str = LIMIT_PRICE) -> list[str]:
    """One request for each of the accounts, new ones if none are given; every use of it is a new order."""
    order = {**ORDER, "limitPrice": limit_price}
    body = orjson.dumps({"query": PLACE, "variables": {"input": order}}).decode()
    tag = token_hex(3)
    owners = accounts or [f"{tag}-{number}" for number in range(ACCOUNTS)]
    return [post("/graphql", body, token=token(owner)) for owner in owners]


def rest_request() -> str:
    """Return the same order for a REST interface."""
    return post("/orders", orjson.dumps(ORDER).decode())


async def one_answer(server: Server) -> str:
    """Return the body of the product's own answer to one order."""
    raw = place_requests()[0].replace(ID_PLACEHOLDER, token_hex(12))
    head, _, body = raw.partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    url = f"{server.url}/graphql"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return await answer.text()
