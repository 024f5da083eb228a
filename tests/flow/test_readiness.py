"""/readyz: the reason why a process is not ready, in fixed words without addresses; details are in the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.support.processes import eventually
from tests.support.proxy import Proxy, proxied
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import Json, System, open_system

END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
PROBES = 5
WITHIN_SECONDS = 10


@dataclass(slots=True, kw_only=True)
class Probed:
    """An API whose servers can be disconnected."""

    system: System
    database: Proxy
    redis: Proxy
    database_url: str

    async def readiness(self) -> tuple[int, Json]:
        async with self.system.session.get(f"{self.system.probes_url('api')}/readyz") as response:
            return response.status, await response.json()

    async def becomes(self, status: int, checks: Mapping[str, str]) -> None:
        async def is_so() -> bool:
            code, body = await self.readiness()
            return (code, body["checks"]) == (status, checks)

        await eventually(is_so, within_seconds=WITHIN_SECONDS, what=f"/readyz answers {status} {checks}")

    async def logs(self, *words: str) -> list[str]:
        """Wait for log lines that contain all the words, and return them."""
        output = self.system.processes["api"].output
        return await eventually(
            lambda: [line for line in output if all(word in line for word in words)],
            within_seconds=WITHIN_SECONDS,
            what=f"a line with {words}",
        )


@pytest.fixture(scope="module")
async def api(
    postgres_server: PostgresServer, valkey_server: TestServer, migrated_template: str
) -> AsyncIterator[Probed]:
    """Run one API for these tests; each restores what it disconnects."""
    database_url = await postgres_server.create_database(template=migrated_template)
    redis_url = valkey_server.url.rsplit("/", 1)[0] + "/2"
    async with (
        proxied(database_url) as (database, there),
        proxied(redis_url) as (redis, queue),
        open_system(database_url=there, redis_url=queue) as system,
    ):
        await system.start("api")
        yield Probed(system=system, database=database, redis=redis, database_url=database_url)


@pytest.fixture
async def probed(api: Probed) -> AsyncIterator[Probed]:
    """Return an API that is ready, before and after the test."""
    await api.becomes(200, {"database": "ok", "redis": "ok"})
    yield api
    await api.database.restore()
    await api.becomes(200, {"database": "ok", "redis": "ok"})


async def test_each_part_has_its_reason_which_is_logged_in_full_once(probed: Probed) -> None:
    await probed.database.take_away()
    await probed.redis.take_away()
    await probed.becomes(503, {"database": "unreachable", "redis": "unreachable"})
    for _ in range(PROBES):
        await probed.readiness()
    (line,) = await probed.logs("not_ready", "part=database")
    assert "Connection refused" in line
    assert len(await probed.logs("not_ready", "part=redis")) == 1

    await probed.database.restore()
    await probed.redis.restore()
    await probed.becomes(200, {"database": "ok", "redis": "ok"})
    await probed.readiness()
    assert len(await probed.logs("ready_again", "part=database")) == 1


async def test_the_api_serves_its_health_only_on_a_separate_port(probed: Probed) -> None:
    address = probed.system.probes_url("api")

    for path in ("/healthz", "/metrics", "/readyz"):
        async with probed.system.session.get(address + path) as response:
            assert response.status == 200, path
        async with probed.system.session.get(probed.system.api_url + path) as response:
            assert response.status == 404, path
    async with probed.system.session.get(address + "/graphql") as response:
        assert response.status == 404


async def test_a_database_that_does_not_answer_in_time_is_busy(probed: Probed) -> None:
    # With one connection, chance would decide whether the check or the read of revocations hangs.
    await asyncio.gather(*(probed.system.ask("{ orders(first: 1) { nodes { id } } }") for _ in range(8)))
    probed.database.hang()

    await probed.becomes(503, {"database": "busy", "redis": "ok"})


async def test_a_read_only_database_is_reported_and_its_refusals_are_counted_and_logged(probed: Probed) -> None:
    async with _read_only(probed.database_url):
        await probed.becomes(503, {"database": "read only", "redis": "ok"})
        refused = await probed.system.place()

    await probed.becomes(200, {"database": "ok", "redis": "ok"})
    assert refused["__typename"] == "Unavailable"
    assert "read" not in refused["message"]
    assert await probed.system.metric('orders_refused_total{cause="read only"}') == 1
    (line,) = await probed.logs("order_refused")
    assert "sqlstate=25006" in line
    assert "target_session_attrs=read-write" in (await probed.logs("not_ready", "read only"))[0]
    assert (await probed.system.place())["__typename"] == "PlaceOrderSuccess"


async def test_an_order_refused_for_want_of_a_database_is_counted_as_such(probed: Probed) -> None:
    await probed.database.take_away()

    refused = await probed.system.place()

    assert refused["__typename"] == "Unavailable"
    assert await probed.system.metric('orders_refused_total{cause="unreachable"}') == 1


async def test_a_database_that_lost_its_tables_is_not_migrated(probed: Probed) -> None:
    connection = await asyncpg.connect(probed.database_url)
    try:
        await connection.execute("ALTER TABLE alembic_version RENAME TO no_version")
        await probed.becomes(503, {"database": "not migrated", "redis": "ok"})
        await connection.execute("ALTER TABLE no_version RENAME TO alembic_version")
    finally:
        await connection.close()

    assert await probed.logs("not_ready", "python -m runtime migrate")


@asynccontextmanager
async def _read_only(url: str) -> AsyncIterator[None]:
    """Make the database read only for every new session, and close the others."""
    connection = await asyncpg.connect(url)
    name = urlsplit(url).path.removeprefix("/")
    try:
        await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on; {END_SESSIONS}')
        yield
    finally:
        await connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only; {END_SESSIONS}')
        await connection.close()
