"""A process that was given the login of another one, in PostgreSQL or in Redis."""

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


@pytest.mark.parametrize(("name", "given"), [("worker", "api"), ("api", "operator")])
async def test_a_process_with_the_role_of_another_is_not_ready(
    name: str, given: str, kept_database_url: str, valkey_server: TestServer
) -> None:
    port = free_port()
    environment = {
        "DATABASE_URL": role_url(kept_database_url, given),
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


async def test_a_redis_user_that_is_refused_is_told_from_a_redis_that_is_away(redis_url: str) -> None:
    server = redis_url.rpartition("@")[2]
    async with Redis.from_url(redis_url) as redis:
        await redis.execute_command(
            "ACL", "SETUSER", "still", "on", ">secret", "nocommands", "+client|setinfo", "+select"
        )  # type: ignore[no-untyped-call] # untyped in the library
    urls = {
        "login refused": f"redis://still:wrong@{server}",
        "no permission": f"redis://still:secret@{server}",
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
