"""A complete Fillwire through PgBouncer in transaction mode, under load and with a subscriber.

Debian 12's is older than 1.21: it does not support prepared statements, so none may stay prepared.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.support.pgbouncer import pgbouncer
from tests.support.servers import PostgresServer
from tests.support.system import System, open_system
from tools.devstack.database_roles import role_url

ORDERS = 150
POOL_CONNECTIONS = 3
WITHIN_SECONDS = 40
HEADS = ("api", "worker", "ingest")
FOLLOW = "subscription { orderUpdates { kind order { id version status } } }"
ACCOUNT = "pooled"


@pytest.fixture
async def system(database_url: str, redis_url: str) -> AsyncIterator[System]:
    """Run a system whose processes all reach PostgreSQL through PgBouncer."""
    logins = [database_url, *(role_url(database_url, head) for head in (*HEADS, "instruments"))]
    async with (
        pgbouncer(database_url, logins=logins, pool_connections=POOL_CONNECTIONS) as pooled_url,
        open_system(database_url=pooled_url, redis_url=redis_url, settings={"DATABASE_STATEMENT_CACHE": "0"}) as system,
    ):
        await system.start(*HEADS)
        await system.control("PUT", "matching", {"mode": "auto", "fill_delay_ms": 1, "fills_per_order": 2})
        yield system


async def test_orders_are_stored_filled_and_followed_through_a_pooler(
    system: System, postgres_server: PostgresServer, database_url: str
) -> None:
    seen: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    async with system.socket(account=ACCOUNT) as socket:
        updates = await socket.subscribe(FOLLOW)
        assert (await updates.next())["orderUpdates"]["kind"] == "CHECKPOINT"
        order_ids = await asyncio.gather(*(system.placed_id(account=ACCOUNT) for _ in range(ORDERS)))
        async with asyncio.timeout(WITHIN_SECONDS):
            while sum(changes[-1][1] == "FILLED" for changes in seen.values()) < ORDERS:
                order = (await updates.next())["orderUpdates"]["order"]
                seen[order["id"]].append((order["version"], order["status"]))

    assert seen.keys() == set(order_ids)
    for changes in seen.values():
        assert [version for version, _ in changes] == list(range(1, len(changes) + 1))
    assert await system.metric("orders_refused_total") == 0
    for head in HEADS:
        text = "\n".join(system.processes[head].output)
        assert "prepared statement" not in text
        assert "[error]" not in text
    assert await _setting(system, "statement_timeout") == "5s"
    assert await _setting(system, "jit") == "off"
    assert 0 < await _server_connections(postgres_server, database_url) <= POOL_CONNECTIONS * len(HEADS)


async def _server_connections(server: PostgresServer, database_url: str) -> int:
    """Return the connections of our processes to that database."""
    connection = await asyncpg.connect(server.url)
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'fillwire %' AND datname = $1",
            database_url.rpartition("/")[2],
        )
    finally:
        await connection.close()
    return count


async def _setting(system: System, name: str) -> str:
    """Return a setting of the session that PgBouncer assigns to the API."""
    url = system.environment_of("api")["DATABASE_URL"]
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        value: str = await connection.fetchval(f"SHOW {name}")
    finally:
        await connection.close()
    return value
