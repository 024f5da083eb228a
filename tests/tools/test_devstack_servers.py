"""The embedded servers: made once, durable, refused when they would do harm."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from tests.support.processes import eventually
from tests.support.servers import PostgresServer, TestServer, running_postgres, running_valkey
from tools.devstack import identity, running
from tools.devstack.errors import LocalStackError
from tools.devstack.folder import prepare_folder
from tools.devstack.launch import CANNOT_BECOME, NOBODY_ID
from tools.devstack.postgres import DATA_NAME, prepare_postgres
from tools.devstack.probes import postgres_answers, valkey_answers
from tools.devstack.running import command_of


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_postgres_is_durable_and_orders_texts_alike_everywhere(postgres_server: PostgresServer) -> None:
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        assert await fetch(postgres_server.url, f"SHOW {setting}") == "on"
    assert await fetch(postgres_server.url, "SHOW listen_addresses") == "127.0.0.1"
    provider = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()"
    assert await fetch(postgres_server.url, provider) == "bC.UTF-8"


async def test_postgres_refuses_logins_without_the_password(postgres_server: PostgresServer) -> None:
    assert await fetch(postgres_server.url, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolsuper")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres_server.url, password="guess")


async def test_valkey_refuses_logins_without_the_password_and_does_not_expose_it(valkey_server: TestServer) -> None:
    password = urlsplit(valkey_server.url).password or ""

    async with Redis.from_url(valkey_server.url.replace(password, "guess")) as guessing:
        with pytest.raises(AuthenticationError):
            await guessing.get("orders")
    assert password not in command_of(valkey_server.pid())


async def test_a_killed_postgres_restarts_with_every_committed_row(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as server:
        connection = await asyncpg.connect(server.url)
        await connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 500)")
        connection.terminate()

        await server.server.crash()

        assert await fetch(server.url, "SELECT count(*) FROM kept") == 500


async def test_data_of_an_earlier_run_are_taken_up(tmp_path: Path) -> None:
    with running_postgres(tmp_path) as first:
        await fetch(first.url, "CREATE TABLE kept AS SELECT 1")
    said: list[str] = []

    await prepare_postgres(tmp_path, report=said.append)
    with running_postgres(tmp_path) as second:
        assert await fetch(second.url, "SELECT count(*) FROM kept") == 1

    assert said == []


async def test_data_of_another_major_version_are_refused_with_a_way_out(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    (tmp_path / DATA_NAME).mkdir()
    (tmp_path / DATA_NAME / "PG_VERSION").write_text("16\n")

    with pytest.raises(LocalStackError, match=r"made by PostgreSQL 16, the server found is 18\. Run './dev reset'"):
        await prepare_postgres(tmp_path, report=lambda _: None)


async def test_a_lock_file_with_another_programs_number_does_not_hinder_postgres(tmp_path: Path) -> None:
    with running_postgres(tmp_path):
        pass
    lock = tmp_path / DATA_NAME / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{tmp_path / DATA_NAME}\n0\n0\n\n127.0.0.1\n0 0\nready\n")

    with running_postgres(tmp_path) as server:
        assert await fetch(server.url, "SELECT 1") == 1


async def test_a_postgres_left_by_an_earlier_run_is_ended_first(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    left = (await prepare_postgres(tmp_path, report=lambda _: None)).program
    process = await asyncio.create_subprocess_exec(
        *running.launch_command(left.command, death_signal=left.death_signal, identity=left.identity),
        cwd=left.directory,
        env=left.environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await eventually(left.ready, within_seconds=10)

    with running_postgres(tmp_path) as server:
        assert await fetch(server.url, "SELECT 1") == 1

    assert await process.wait() == 0


async def test_an_interrupted_initdb_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    prepare_folder(tmp_path)
    unfinished = tmp_path / f"{DATA_NAME}.new"
    unfinished.mkdir(mode=0o700)
    (unfinished / "PG_VERSION").write_text("18\n")

    with running_postgres(tmp_path) as server:
        assert await fetch(server.url, "SELECT 1") == 1

    assert not unfinished.exists()


async def test_a_killed_valkey_restarts_with_every_acknowledged_write(tmp_path: Path) -> None:
    with running_valkey(tmp_path) as server:
        async with Redis.from_url(server.url) as redis:
            for _ in range(100):
                await redis.incr("counted")

        await server.crash()

        async with Redis.from_url(server.url) as redis:
            assert await redis.get("counted") == b"100"


async def test_servers_that_do_not_listen_do_not_answer() -> None:
    assert not await postgres_answers(port=1, user="nobody")
    assert not await valkey_answers(port=1, password="none")


@pytest.fixture
def _no_user_namespaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As under a container's seccomp profile, where unshare is refused."""
    launch = tmp_path / "launch.py"
    refusal = f"if sys.argv[3] == 'mapped': raise SystemExit({CANNOT_BECOME})\n"
    launch.write_text(running.LAUNCH_SCRIPT.read_text().replace('if __name__ == "__main__":', f"{refusal}if True:"))
    monkeypatch.setattr(running, "LAUNCH_SCRIPT", launch)
    yield
    shutil.rmtree(identity.nobody_folder(tmp_path / "local"), ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes nobody")
@pytest.mark.usefixtures("_no_user_namespaces")
async def test_root_without_user_namespaces_runs_postgres_as_nobody(tmp_path: Path) -> None:
    with running_postgres(tmp_path / "local") as server:
        assert await fetch(server.url, "SELECT 1") == 1
        assert os.stat(f"/proc/{server.server.pid()}").st_uid == NOBODY_ID  # noqa: PTH116  # /proc does not block.

    assert not (tmp_path / "local" / DATA_NAME).exists()
