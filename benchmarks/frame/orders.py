"""Orders that are there before a stage begins: stored as `placeOrder` stores them, and open at the exchange."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import aiohttp

from benchmarks.frame.load import Driver, LoadFailedError
from benchmarks.frame.servers import Server
from db.database import Database
from db.engine import open_database
from db.order_store import PostgresOrderStore
from exchange.alpaca.rest import AlpacaVenue
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.store_driver import Clerk

QUANTITY = "1000000"
"""So large that no order is ever filled whole."""
ACCEPTED_AT_ONCE = 500
CALL_TIMEOUT_SECONDS = 30.0
SHOWN_LINES = 20
POLL_SECONDS = 0.05
"""Being asked for its metrics costs a process a millisecond and more."""


@asynccontextmanager
async def open_clerk(database_url: str) -> AsyncIterator[Clerk]:
    """Open a clerk of the order store of that database."""
    async with open_store(database_url) as database:
        yield Clerk(PostgresOrderStore(database, venue=AlpacaVenue.name, telemetry=RecordingTelemetry()))


@asynccontextmanager
async def open_store(database_url: str) -> AsyncIterator[Database]:
    """Open the database, with long time-outs for a busy machine."""
    async with open_database(
        database_url,
        application_name="bench",
        call_timeout_seconds=CALL_TIMEOUT_SECONDS,
        statement_timeout_seconds=CALL_TIMEOUT_SECONDS,
    ) as database:
        yield database


async def accept_orders(
    database_url: str, count: int, *, accounts: Sequence[str], quantity: str = QUANTITY
) -> list[UUID]:
    """Store that number of orders, spread over the accounts: one for each in turn."""
    ids: list[UUID] = []
    owners = [accounts[number % len(accounts)] for number in range(count)]
    async with open_clerk(database_url) as clerk:
        while some := owners[len(ids) : len(ids) + ACCEPTED_AT_ONCE]:
            ids += await clerk.store(len(some), accounts=some, quantity=quantity)
    return ids


async def open_orders(
    database_url: str, exchange: Driver, ingest: Server, count: int, *, accounts: Sequence[str]
) -> list[UUID]:
    """Store orders and submit them to the exchange; return their ids once ingest has recorded that."""
    ids = await accept_orders(database_url, count, accounts=accounts)
    # The stream does not repeat earlier events, and a comparison would refuse these orders: their terms differ.
    await reaches(ingest, "stream_connected", 1, within_seconds=60)
    before = await metric(ingest, "reports_recorded")
    for start in range(0, count, ACCEPTED_AT_ONCE):
        some = [str(order_id) for order_id in ids[start : start + ACCEPTED_AT_ONCE]]
        await exchange.order("place", client_order_ids=some, quantity=QUANTITY)
    await reaches(ingest, "reports_recorded", before + count, within_seconds=60)
    return ids


async def reaches(
    server: Server, name: str, value: float, *, within_seconds: float, every_seconds: float = POLL_SECONDS
) -> None:
    """Wait until a counter of the process has that value."""
    try:
        async with asyncio.timeout(within_seconds):
            while await metric(server, name) < value:  # noqa: ASYNC110  # Another process has no event to wait for.
                await asyncio.sleep(every_seconds)
    except TimeoutError:
        said = "\n".join(server.process.output[-SHOWN_LINES:])
        reached = await metric(server, name)
        raise LoadFailedError(f"{name} is {reached}, not {value}, after {within_seconds} s. It said:\n{said}") from None


async def metric(server: Server, name: str) -> float:
    """Return the sum of a series of the process over its labels."""
    url = f"http://127.0.0.1:{server.probes_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        lines = (await response.text()).splitlines()
    names = {f"fillwire_{name}", f"fillwire_{name}_total"}
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.replace("{", " ").split(" ", 1)[0] in names)


async def settle(seconds: float = 0.3) -> None:
    """Wait until the effects of a stage have ended before the next measurement."""
    await asyncio.sleep(seconds)
