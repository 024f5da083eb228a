"""Real PostgreSQL and Valkey for tests: the embedded servers of the local stack, in their own folder.

They run in a thread with its own event loop, so that their output is read also while no test's loop runs.
"""

import asyncio
import itertools
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tests.support.processes import eventually
from tools.devstack.folder import prepare_folder
from tools.devstack.postgres import prepare_postgres
from tools.devstack.probes import valkey_answers
from tools.devstack.program import Program
from tools.devstack.supervisor import supervision
from tools.devstack.valkey import prepare_valkey

START_TIMEOUT_SECONDS = 90.0
RESTART_TIMEOUT_SECONDS = 30.0

Prepared = tuple[Program, str]
"""A server's program, and the URL at which it answers when it runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TestServer:
    """A running server: its address, its output, and its pid."""

    __test__ = False  # Its name would make pytest collect it.

    url: str
    output: list[str]
    pid: Callable[[], int]
    answers: Callable[[], Awaitable[bool]]

    async def crash(self) -> None:
        """Kill it (SIGKILL), and return when its successor answers at the same URL."""
        killed = self.pid()
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda: self._is_succeeded(killed), within_seconds=RESTART_TIMEOUT_SECONDS)

    async def _is_succeeded(self, killed: int) -> bool:
        try:
            return self.pid() != killed and await self.answers()
        except LookupError:
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresServer:
    """A PostgreSQL of the tests, with a superuser's URL, and fresh databases in it."""

    server: TestServer
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def url(self) -> str:
        """The superuser's URL of an empty database."""
        return self.server.url

    async def create_database(self, *, template: str | None = None) -> str:
        """Make a database, a copy of the database at the URL `template` when given, and return its URL."""
        name = f"test_{next(self._numbers)}"
        copied = f' TEMPLATE "{_database(template)}"' if template else ""
        await self._execute(f'CREATE DATABASE "{name}"{copied}')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def drop_database(self, url: str) -> None:
        """Delete the database at the URL, also with open connections."""
        await self._execute(f'DROP DATABASE "{_database(url)}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def running_postgres(folder: Path) -> Iterator[PostgresServer]:
    """Run a PostgreSQL with its data in `folder`; when killed, it is started again on the same port."""

    async def prepare() -> Prepared:
        server = await prepare_postgres(folder, report=lambda _: None)
        return server.program, server.url

    prepare_folder(folder)
    with _running(prepare) as server:
        yield PostgresServer(server=server)


@contextmanager
def running_valkey(folder: Path) -> Iterator[TestServer]:
    """Run a Valkey with its data in `folder`; when killed, it is started again on the same port."""

    async def prepare() -> Prepared:
        server = prepare_valkey(folder)
        return server.program, server.url

    prepare_folder(folder)
    with _running(prepare) as server:
        yield server


@contextmanager
def running_valkey_with_users(folder: Path, *, users: Path, probe: str) -> Iterator[TestServer]:
    """Run a Valkey with the users of an ACL file; `probe` is the name and password of a user that may PING."""

    async def prepare() -> Prepared:
        server = prepare_valkey(folder)
        url = urlsplit(server.url)
        ready = partial(valkey_answers, port=url.port or 0, password=probe)
        program = replace(server.program, command=[*server.program.command, "--aclfile", str(users)], ready=ready)
        return program, urlunsplit(url._replace(netloc=f"{url.hostname}:{url.port}"))

    prepare_folder(folder)
    with _running(prepare) as server:
        yield server


@contextmanager
def _running(prepare: Callable[[], Awaitable[Prepared]]) -> Iterator[TestServer]:
    started: Future[tuple[TestServer, Callable[[], object]]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(prepare, started)), name="test server")
    thread.start()
    server, stop = started.result(timeout=START_TIMEOUT_SECONDS)
    try:
        yield server
    finally:
        stop()
        thread.join()


async def _serve(
    prepare: Callable[[], Awaitable[Prepared]], started: Future[tuple[TestServer, Callable[[], object]]]
) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    output: list[str] = []
    try:
        async with supervision(lambda _, line: output.append(line)) as supervisor:
            program, url = await prepare()
            await supervisor.start(program)
            server = TestServer(url=url, output=output, pid=lambda: supervisor.pid(program.name), answers=program.ready)
            started.set_result((server, lambda: loop.call_soon_threadsafe(stopped.set)))
            await stopped.wait()
    except BaseException as error:
        if started.done():
            raise
        # The thread ends here; callers that wait for the server get the reason and its last output.
        error.add_note("\n".join(output))
        started.set_exception(error)


def _database(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
