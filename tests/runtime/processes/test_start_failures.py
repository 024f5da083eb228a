"""Errors of a process that cannot start: a message with the fix, an exit code, and no traceback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.support.processes import RunningProcess, running
from tests.support.servers import PostgresServer, TestServer
from tests.support.system import BROADCAST_KEY, TOKEN_SECRET
from tools.devstack.ports import free_port

END_SECONDS = 25.0
BAD_SETTINGS = 2
FAILED = 1
PROCESSES = ("api", "worker", "ingest")


@asynccontextmanager
async def ended(name: str, environment: Mapping[str, str], *, is_cold: bool = False) -> AsyncIterator[RunningProcess]:
    """Return the process after its end."""
    given = {"TOKEN_SECRET": TOKEN_SECRET, "BROADCAST_KEY": BROADCAST_KEY}
    settings = given | {"LOG_FORMAT": "plain", "PORT": str(free_port())} | dict(environment)
    async with running(["-m", "runtime", name], environment=settings, is_cold=is_cold) as process:
        await process.ends(within_seconds=END_SECONDS)
        yield process


async def says(name: str, environment: Mapping[str, str], *words: str, is_cold: bool = False) -> int:
    """Run it to its end, find the words in its last line, and return its exit code."""
    async with ended(name, environment, is_cold=is_cold) as process:
        pass
    text = "\n".join(process.output)
    assert "Traceback" not in text, text
    assert all(word in process.output[-1] for word in words), text
    assert process.exit_code is not None
    return process.exit_code


def with_login(url: str, login: str) -> str:
    """Return the URL with another user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))


def with_name(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@pytest.mark.parametrize("name", PROCESSES)
async def test_a_process_without_a_key_to_sign_and_verify_explains_how_to_create_one(name: str) -> None:
    environment = {"DATABASE_URL": "postgresql://user@127.0.0.1/name", "REDIS_URL": "redis://127.0.0.1/0"}

    words = ("BROADCAST_KEY is not set", "openssl rand -hex 32")
    assert await says(name, environment | {"BROADCAST_KEY": ""}, *words, is_cold=True) == BAD_SETTINGS


async def test_migrating_without_a_database_reports_that_it_cannot_be_reached() -> None:
    url = f"postgresql://user:password@127.0.0.1:{free_port()}/name"

    assert await says("migrate", {"DATABASE_URL": url}, "PostgreSQL cannot be reached", "Start it") == FAILED


async def test_migrating_with_a_wrong_password_reports_that_the_login_is_refused(
    postgres_server: PostgresServer,
) -> None:
    url = with_login(postgres_server.url, "fillwire:another-password")

    async with ended("migrate", {"DATABASE_URL": url}) as process:
        assert "refuses the login" in process.output[-1]
        assert "DATABASE_URL" in process.output[-1]
        assert "another-password" not in "\n".join(process.output)
        assert process.exit_code == FAILED


@pytest.mark.parametrize("name", ["migrate", "api"])
async def test_an_unknown_host_is_named(name: str, redis_url: str) -> None:
    environment = {
        "DATABASE_URL": "postgresql://user:password@no-such-host.invalid/name?sslmode=require",
        "REDIS_URL": redis_url,
    }

    exit_code = await says(name, environment, "cannot be reached", "DATABASE_URL")

    assert exit_code == (FAILED if name == "migrate" else BAD_SETTINGS)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("api", "pgbouncer=true", ("DATABASE_URL", "pgbouncer, which libpq does not know either")),
        ("migrate", "schema=public", ("DATABASE_URL", "schema, which libpq does not know either")),
        ("worker", "options=endpoint%3Dep-cool-1", ("refuses the connection", "endpoint=ep-cool-1", "DATABASE_URL")),
        ("migrate", "sslmode=require", ("refuses the connection", "no TLS", "DATABASE_URL")),
    ],
)
async def test_an_option_that_cannot_be_fulfilled_ends_a_process_with_a_sentence(
    name: str, options: str, words: tuple[str, ...], shared_database_url: str, redis_url: str
) -> None:
    environment = {"DATABASE_URL": f"{shared_database_url}?{options}", "REDIS_URL": redis_url}

    assert await says(name, environment, *words) == BAD_SETTINGS


async def test_a_variable_of_libpq_that_cannot_be_used_ends_a_process_with_a_sentence(
    shared_database_url: str, redis_url: str
) -> None:
    environment = {"DATABASE_URL": shared_database_url, "REDIS_URL": redis_url, "PGTARGETSESSIONATTRS": "fastest"}

    assert await says("ingest", environment, "DATABASE_URL", "PG…", "target_session_attrs") == BAD_SETTINGS


async def test_an_address_with_the_options_that_providers_copy_is_migrated(
    postgres_server: PostgresServer,
) -> None:
    url = (await postgres_server.create_database()).replace("postgresql://", "postgresql+asyncpg://")
    options = "connect_timeout=10&gssencmode=disable&keepalives=1&keepalives_idle=30&channel_binding=prefer"

    assert await says("migrate", {"DATABASE_URL": f"{url}?{options}"}, "migrated") == 0


async def test_processes_over_a_database_without_tables_name_the_command_that_makes_them(
    postgres_server: PostgresServer, redis_url: str
) -> None:
    url = await postgres_server.create_database()
    environment = {"DATABASE_URL": url, "REDIS_URL": redis_url}

    exit_codes = await asyncio.gather(
        *(says(name, environment, "no tables of Fillwire", "python -m runtime migrate") for name in PROCESSES)
    )

    assert exit_codes == [FAILED] * len(PROCESSES)


async def test_a_process_over_older_tables_names_the_command_that_renews_them(
    postgres_server: PostgresServer, migrated_template: str, redis_url: str
) -> None:
    url = await postgres_server.create_database(template=migrated_template)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("UPDATE alembic_version SET version_num = '0000'")
    finally:
        await connection.close()

    environment = {"DATABASE_URL": url, "REDIS_URL": redis_url}

    assert await says("worker", environment, "older than this program", "python -m runtime migrate") == FAILED


@pytest.mark.parametrize("name", PROCESSES)
async def test_a_process_with_another_prefix_than_the_stored_one_does_not_start(
    name: str, shared_database_url: str, valkey_server: TestServer
) -> None:
    environment = {
        "DATABASE_URL": shared_database_url,
        "REDIS_URL": valkey_server.url,
        "INSTALLATION_PREFIX": "another",
    }

    assert await says(name, environment, "INSTALLATION_PREFIX is another", "python -m runtime migrate") == BAD_SETTINGS


async def test_a_prefix_that_cannot_begin_an_id_is_refused(shared_database_url: str, redis_url: str) -> None:
    environment = {"DATABASE_URL": shared_database_url, "REDIS_URL": redis_url, "INSTALLATION_PREFIX": "with-a-dash"}

    assert await says("worker", environment, "INSTALLATION_PREFIX", "2 to 15 characters") == BAD_SETTINGS


async def test_a_process_with_a_name_of_no_database_does_not_start(
    postgres_server: PostgresServer, redis_url: str
) -> None:
    environment = {"DATABASE_URL": with_name(postgres_server.url, "nobodys"), "REDIS_URL": redis_url}

    assert await says("ingest", environment, "refuses the login", "nobodys") == BAD_SETTINGS


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("api", "PORT"),
        ("api", "METRICS_PORT"),
        ("worker", "METRICS_PORT"),
        ("ingest", "METRICS_PORT"),
        ("exchange", "EXCHANGE_PORT"),
    ],
)
async def test_a_port_in_use_is_reported_with_its_setting(
    name: str, setting: str, shared_database_url: str, valkey_server: TestServer
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        environment = {"DATABASE_URL": shared_database_url, "REDIS_URL": valkey_server.url, setting: port}

        async with ended(name, environment) as process:
            text = "\n".join(process.output)

    assert all(word in process.output[-1] for word in (f"{setting}: cannot listen", port, "in use")), text
    assert "Traceback" not in text, text
    assert setting != "PORT" or "api_listening" not in text, text
    assert process.exit_code == BAD_SETTINGS


async def test_an_address_for_the_probes_that_is_not_local_is_reported_with_its_setting(
    shared_database_url: str, valkey_server: TestServer
) -> None:
    environment = {"DATABASE_URL": shared_database_url, "REDIS_URL": valkey_server.url}
    elsewhere = {"METRICS_PORT": str(free_port()), "METRICS_HOST": "203.0.113.1"}

    assert (
        await says("api", environment | elsewhere, "METRICS_PORT: cannot listen on 203.0.113.1", "METRICS_HOST")
        == BAD_SETTINGS
    )
