"""The Redis login of one process allows exactly what that process does."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from broadcast.shards import channel_of
from domain.ports.telemetry import Metric
from jobs.queue import open_queue
from runtime.alerts.deduplication import AlertDeduplicator
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.processes import ROOT
from tests.support.servers import TestServer, running_valkey_with_users
from tests.support.signed_messages import SIGNER
from tests.support.system import open_system

MAKE_USERS = ROOT / "deploy/redis/make-users"
PROCESSES = ("api", "worker", "ingest")
USERS = (*PROCESSES, "operator", "admin")
CHANNEL = channel_of(7).decode()
FOLLOW = "subscription { orderUpdates { kind order { id status } } }"

ENQUEUES = {"evalsha", "script|load", "zscore", "exists", "set", "zadd", "rpush", "del"}
CONNECTS = {"ping", "client|setinfo", "select"}
RUNS_JOBS = {
    *("multi", "exec", "blmove", "getrange", "lrange", "lrem", "zrem", "zrangebyscore", "zremrangebyscore"),
    *("setex", "expire", "type"),
}
MAY: Mapping[str, set[str]] = {
    "api": CONNECTS | ENQUEUES | {"publish", "subscribe", "unsubscribe"},
    "worker": CONNECTS | ENQUEUES | RUNS_JOBS | {"publish"},
    "ingest": CONNECTS | ENQUEUES | {"publish"},
}
# Additional reads: which process sends an alert.
READS_ALERTS = [["commands", "-@all +getrange", "keys", "%R~fillwire:alert:*"]]
READS: Mapping[str, list[list[str]]] = {"api": READS_ALERTS, "worker": [], "ingest": READS_ALERTS}
WITHOUT_AUTHENTICATION = {"auth", "hello", "quit", "reset"}

# What anybody would try, with its arguments.
HARMFUL = [
    ["CONFIG", "SET", "dir", "/tmp"],  # noqa: S108 - nothing is written: it is refused
    ["CONFIG", "GET", "*"],
    ["FLUSHALL"],
    ["FLUSHDB"],
    ["KEYS", "*"],
    ["EVAL", "return 1", "0"],
    ["SCRIPT", "FLUSH"],
    ["FUNCTION", "LOAD", "#!lua name=x"],
    ["SHUTDOWN"],
    ["REPLICAOF", "192.0.2.1", "6379"],
    ["MONITOR"],
    ["CLIENT", "KILL", "TYPE", "normal"],
    ["ACL", "SETUSER", "api", "allcommands"],
    ["MIGRATE", "192.0.2.1", "6379", "k", "0", "1"],
    ["PSUBSCRIBE", "*"],
    ["SUBSCRIBE", "other"],
    ["PUBLISH", "other", "x"],
    ["SET", "other", "x"],
    ["GET", "other"],
    ["RPUSH", "saq:other:queued", "x"],
]


def password_of(user: str) -> str:
    return f"{user}'s/own & password"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """Run a Valkey with the users of deploy/redis."""
    folder = tmp_path_factory.mktemp("valkey-with-users")
    with running_valkey_with_users(
        folder / "data", users=written_users(folder), probe=f'admin "{password_of("admin")}"'
    ) as server:
        yield server


def written_users(folder: Path) -> Path:
    passwords = {f"VALKEY_{user.upper()}_PASSWORD": password_of(user) for user in USERS}
    made = subprocess.run([MAKE_USERS], env=os.environ | passwords, capture_output=True, text=True, check=True)
    assert not any(password in made.stdout for password in passwords.values())
    users = folder / "users.acl"
    users.write_text(made.stdout)
    return users


def url_of(valkey: TestServer, user: str) -> str:
    parts = urlsplit(valkey.url)
    login = password_of(user).replace("/", "%2F").replace(" ", "%20").replace("&", "%26").replace("'", "%27")
    return urlunsplit(parts._replace(netloc=f"{user}:{login}@{parts.netloc}"))


@asynccontextmanager
async def connected_as(valkey: TestServer, user: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url_of(valkey, user)) as redis:
        yield redis


def test_without_a_password_no_users_are_written() -> None:
    given = {f"VALKEY_{user.upper()}_PASSWORD": "x" for user in USERS if user != "ingest"}

    made = subprocess.run(
        [MAKE_USERS], env={"PATH": os.environ["PATH"]} | given, capture_output=True, text=True, check=False
    )

    assert made.returncode != 0
    assert made.stdout == ""
    assert "VALKEY_INGEST_PASSWORD" in made.stderr


async def test_an_order_is_placed_filled_and_delivered_with_a_user_for_each_process(
    valkey: TestServer, database_url: str
) -> None:
    async with (
        connected_as(valkey, "admin") as admin,
        open_system(database_url=database_url, redis_url=url_of(valkey, "admin")) as system,
    ):
        await admin.execute_command("ACL", "LOG", "RESET")  # type: ignore[no-untyped-call] # untyped there
        await system.sync_instruments()
        system.own_settings = {process: {"REDIS_URL": url_of(valkey, process)} for process in PROCESSES}
        await system.start(*PROCESSES)
        async with system.socket() as socket:
            updates = await socket.subscribe(FOLLOW)
            assert (await updates.next())["orderUpdates"] == {"kind": "CHECKPOINT", "order": None}
            # Otherwise ingest may be the first to get the order's report from the venue, and the worker has nothing to
            # publish.
            await system.control("PUT", "faults", {"stream": {"mute": True}})
            order = await system.becomes(await system.placed_id(), "PLACED")
            await system.control("PUT", "faults", {"stream": {"mute": False}})
            await system.control("POST", "fills", {"order_id": order["venueOrderId"], "qty": "90", "price": "200"})
            delivered = [(await updates.next())["orderUpdates"]["order"] for _ in range(3)]

        assert [update["status"] for update in delivered] == ["PENDING", "PLACED", "FILLED"]
        swept = await system.metric("swept_orders_total", head="worker")
        published = [await system.metric("changes_published_total", head=process) for process in PROCESSES]
        refused = await admin.execute_command("ACL", "LOG")  # type: ignore[no-untyped-call] # untyped there

        assert refused == []
        assert swept == 0
        assert all(published)
        users = {client["user"] for client in await admin.client_list()}
        assert users >= set(PROCESSES)


async def test_a_worker_may_sweep_the_queue_and_put_it_in_order(valkey: TestServer) -> None:
    telemetry = RecordingTelemetry()
    async with connected_as(valkey, "worker") as redis, connected_as(valkey, "admin") as admin:
        queue = open_queue(redis, telemetry=telemetry)
        for place in ("queued", "active"):
            await admin.rpush(f"saq:fillwire:{place}", "other", "saq:job:fillwire:x")  # type: ignore[misc] # redis types it as perhaps synchronous
        await admin.set("saq:fillwire:incomplete", "no set")

        await queue.sweep()
        assert await queue.dequeue(timeout=1) is None
        assert await queue.dequeue(timeout=1) is None
        await queue.schedule()
        await queue.worker_info("id", "fillwire")

        assert await admin.exists("saq:fillwire:queued", "saq:fillwire:active", "saq:fillwire:incomplete") == 0
        assert telemetry.counted(Metric.JOBS_REFUSED) == 3


@pytest.mark.parametrize("user", PROCESSES)
async def test_each_process_may_reserve_alerts(user: str, valkey: TestServer) -> None:
    async with connected_as(valkey, user) as redis:
        first, second = (AlertDeduplicator(redis, signer=SIGNER, repeat_seconds=60) for _ in range(2))

        assert await first.reserve(user, ["case"], now=0) is None
        assert await second.reserve(user, ["case"], now=0) is not None
        await first.release([user])
        assert await second.reserve(user, ["case"], now=0) is None
        await second.release([user])


@pytest.mark.parametrize("user", MAY)
async def test_a_process_may_use_exactly_these_commands(user: str, valkey: TestServer) -> None:
    async with connected_as(valkey, "admin") as admin:
        found = await admin.acl_getuser(user)

        commands = {each.removeprefix("+") for each in found["commands"] if each.startswith("+")}
        assert commands == MAY[user]
        assert [selector[:4] for selector in found["selectors"]] == READS[user]
        assert found["categories"] == ["-@all"]


@pytest.mark.parametrize("user", [*PROCESSES, "operator"])
async def test_a_login_does_nothing_else(user: str, valkey: TestServer) -> None:
    async with connected_as(valkey, user) as redis:
        for command in HARMFUL:
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*command)  # type: ignore[no-untyped-call] # untyped there


@pytest.mark.parametrize(
    ("user", "command"),
    [
        ("worker", ["SUBSCRIBE", CHANNEL]),
        ("ingest", ["SUBSCRIBE", CHANNEL]),
        ("operator", ["SUBSCRIBE", CHANNEL]),
        ("operator", ["PUBLISH", CHANNEL, "x"]),
        ("operator", ["SET", "saq:fillwire:queued", "x"]),
        ("operator", ["DEL", "saq:fillwire:queued"]),
        ("operator", ["EVALSHA", "0" * 40, "0"]),
        ("api", ["BLMOVE", "saq:fillwire:queued", "saq:fillwire:active", "LEFT", "RIGHT", "1"]),
        ("api", ["RPUSH", "saq:fillwire:active", "x"]),
        ("api", ["GETRANGE", "saq:job:fillwire:x", "0", "1"]),
        ("ingest", ["GETRANGE", "saq:job:fillwire:x", "0", "1"]),
    ],
)
async def test_a_login_does_not_do_what_another_process_does(user: str, command: list[str], valkey: TestServer) -> None:
    async with connected_as(valkey, user) as redis:
        with pytest.raises(NoPermissionError):
            await redis.execute_command(*command)  # type: ignore[no-untyped-call] # untyped there


async def test_no_login_without_a_name_or_with_another_password(valkey: TestServer) -> None:
    other = url_of(valkey, "api").replace("api:", "worker:")
    for url in (valkey.url, other):
        with pytest.raises(AuthenticationError):
            async with Redis.from_url(url) as redis:
                await redis.ping()  # type: ignore[misc] # redis types it as perhaps synchronous


async def test_an_operator_sees_the_queue_and_the_server(valkey: TestServer) -> None:
    async with connected_as(valkey, "operator") as redis:
        assert (await redis.info("server"))["server_mode"] == "standalone"
        assert await redis.llen("saq:fillwire:queued") == 0  # type: ignore[misc] # redis types it as perhaps synchronous
        assert await redis.zcard("saq:fillwire:incomplete") == 0
