"""A process that was given the login of another one, in PostgreSQL or in Redis."""

from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from runtime.resources.redis import redis_trouble
from tests.support.processes import eventually, running
from tests.support.servers import TestServer
from tests.support.system import BROADCAST_KEY, TOKEN_SECRET
from tools.devstack.database_roles import role_url
from tools.devstack.ports import free_port

WITHIN_SECONDS = 10.0
INSTRUMENTS = "isin,symbol,name,currency,tick_size,lot_size,tradable\nUS0378331005,AAPL,Apple,USD,0.01,1,true\n"


@pytest.mark.parametrize(("name", "given"), [("worker", "api"), ("api", "operator")])
async def test_a_process_with_the_role_of_another_is_not_ready(
    name: str, given: str, shared_database_url: str, valkey_server: TestServer
) -> None:
    port = free_port()
    environment = {
        "DATABASE_URL": role_url(shared_database_url, given),
        "REDIS_URL": valkey_server.url,
        "TOKEN_SECRET": TOKEN_SECRET,
        "BROADCAST_KEY": BROADCAST_KEY,
        "PORT": str(free_port()),
        "METRICS_PORT": str(port),
    }
    probes = f"http://127.0.0.1:{port}"
    async with (
        aiohttp.ClientSession() as session,
        running(["-m", "runtime", name], environment=environment, ready_url=f"{probes}/healthz") as process,
    ):

        async def database_state() -> bool:
            async with session.get(f"{probes}/readyz") as response:
                checks = (await response.json())["checks"]
                return response.status == 503 and checks["database"] == "wrong role"

        await eventually(database_state, within_seconds=WITHIN_SECONDS, what=f"the {name} is not ready")
        line = await process.shows("not_ready", within_seconds=WITHIN_SECONDS)

    assert f"fillwire_{given} of DATABASE_URL" in line
    assert f"ends with _{name}" in line


async def test_a_redis_user_that_is_refused_is_distinguished_from_an_unreachable_redis(redis_url: str) -> None:
    server = redis_url.rpartition("@")[2]
    async with Redis.from_url(redis_url) as redis:
        await redis.execute_command(
            "ACL", "SETUSER", "still", "on", ">secret", "nocommands", "+client|setinfo", "+select"
        )  # type: ignore[no-untyped-call] # untyped in the library
    urls = {
        "login refused": f"redis://still:wrong@{server}",
        "denied": f"redis://still:secret@{server}",
        "unreachable": f"redis://127.0.0.1:{free_port()}",
    }

    reasons = {}
    for expected, url in urls.items():
        async with Redis.from_url(url) as redis:
            try:
                await redis.ping()  # type: ignore[misc] # redis types its async commands as perhaps synchronous
            except RedisError as error:
                reasons[expected] = redis_trouble(error).reason

    async with Redis.from_url(redis_url) as redis:
        await redis.execute_command("ACL", "DELUSER", "still")  # type: ignore[no-untyped-call] # untyped in the library
    assert reasons == {reason: reason for reason in urls}


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("audit verify", "api"),
        ("trading halt --everybody --reason test", "worker"),
        ("limits set --everybody --reason test --max-quantity 1", "worker"),
        ("tokens revoke --account alice --reason test", "ingest"),
        ("instruments import {file}", "api"),
    ],
)
async def test_a_command_with_the_role_of_a_process_names_the_role_that_it_needs(
    command: str, given: str, shared_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "instruments.csv"
    file.write_text(INSTRUMENTS)
    arguments = ["-m", "runtime", *command.format(file=file).split()]
    environment = {"DATABASE_URL": role_url(shared_database_url, given)}

    async with running(arguments, environment=environment) as process:
        exit_code = await process.ends(within_seconds=WITHIN_SECONDS)

    text = "\n".join(process.output)
    assert exit_code == (3 if command == "audit verify" else 1), text
    assert "Traceback" not in text, text
    assert "DATABASE_URL" in process.output[-1], text
    assert "ends with _operator" in process.output[-1], text


async def test_an_api_that_cannot_read_revocations_ends_with_a_sentence(
    shared_database_url: str, valkey_server: TestServer
) -> None:
    environment = {
        "DATABASE_URL": role_url(shared_database_url, "ingest"),
        "REDIS_URL": valkey_server.url,
        "TOKEN_SECRET": TOKEN_SECRET,
        "BROADCAST_KEY": BROADCAST_KEY,
        "PORT": str(free_port()),
    }

    async with running(["-m", "runtime", "api"], environment=environment) as process:
        exit_code = await process.ends(within_seconds=WITHIN_SECONDS)

    assert exit_code == 1
    assert "ends with _api" in process.output[-1]
    assert not any("Traceback" in line for line in process.output)
