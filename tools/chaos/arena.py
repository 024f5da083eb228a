"""The arena: PostgreSQL, Valkey, the simulated exchange and six processes of ours, each started again when it dies.

The exchange is never harmed: its journal is the truth. Everything listens on loopback and ends with this process.
"""

import asyncio
import os
import secrets
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import aiohttp
import orjson

from db.migrate import upgrade
from exchange.simulator.keys import VenueKeys
from tests.support.processes import INHERITED, ROOT
from tools.chaos.audit import AUDIT
from tools.chaos.ledger import execute
from tools.chaos.schedule import APIS, PROCESSES, WORKERS
from tools.devstack.folder import prepare_folder
from tools.devstack.ports import free_port
from tools.devstack.postgres import prepare_postgres
from tools.devstack.probes import http_answers
from tools.devstack.program import Program
from tools.devstack.supervisor import Supervisor, supervision
from tools.devstack.valkey import prepare_valkey

CONTROL_TIMEOUT_SECONDS = 20.0
DEATHS_ALLOWED = 100_000
PROCESSES_RANK, EXCHANGE_RANK, SERVERS_RANK = range(3)

SETTINGS: Mapping[str, str] = {
    "LOG_FORMAT": "plain",
    "LOG_LEVEL": "WARNING",
    "PLACEMENT_TIMEOUT_SECONDS": "1",  # The lease is six times that.
    "PLACEMENT_SETTLE_SECONDS": "1.5",  # The exchange hides orders for less.
    "PLACEMENT_MAX_ATTEMPTS": "8",
    "PLACEMENT_BACKOFF_SECONDS": "0.2",
    "PLACEMENT_BACKOFF_MAX_SECONDS": "1",
    "CANCEL_RETRY_SECONDS": "0.5",
    "CANCEL_CONFIRM_SECONDS": "1.5",
    "SWEEP_EVERY_SECONDS": "0.5",
    "SWEEP_OVERDUE_SECONDS": "1",
    "RECONCILE_EVERY_SECONDS": "5",
    "RECONCILE_SILENT_SECONDS": "3",
    "CATCH_UP_EVERY_SECONDS": "5",
    "CATCH_UP_OVERLAP_SECONDS": "5",
    "STREAM_RECONNECT_MAX_SECONDS": "2",
    "STREAM_SESSION_MIN_SECONDS": "1",
    "STOP_WITHIN_SECONDS": "4",
    "EXCHANGE_CONNECTIONS_MAX": "64",
    # Opening one costs some 60 ms of CPU, most of it the server's, and every fault that kills brings new ones.
    "DATABASE_POOL_CONNECTIONS_MAX": "5",
    "WORKER_DEQUEUE_TIMEOUT_SECONDS": "1",
}
"""Short leases and quick back-off, so that everything is made up for within the calm; pools for two cores."""

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Arena:
    """What runs, and the levers to harm it. `deaths` counts the ends of processes by name and cause."""

    supervisor: Supervisor
    session: aiohttp.ClientSession
    ports: dict[str, int]
    environments: dict[str, dict[str, str]]
    database_url: str
    redis_url: str
    token_secret: str
    deaths: Counter[str]
    valkey_data: Path
    empties_valkey: bool = field(default=False)

    @property
    def api_urls(self) -> list[str]:
        """Where the API processes answer."""
        return [f"http://127.0.0.1:{self.ports[name]}" for name in APIS]

    def send(self, name: str, number: signal.Signals) -> int | None:
        """Send a signal to a process; its id, or None when it does not run at the moment."""
        with suppress(LookupError, ProcessLookupError):
            pid = self.supervisor.pid(name)
            os.kill(pid, number)
            return pid
        return None

    def ready_url(self, name: str) -> str:
        """What answers when the process serves."""
        return f"http://127.0.0.1:{self.ports[name]}/healthz"

    async def is_ready(self, name: str) -> bool:
        """Whether the process serves."""
        return await http_answers(self.ready_url(name))

    async def not_ready(self) -> list[str]:
        """The processes of ours that do not serve."""
        return [name for name in PROCESSES if not await self.is_ready(name)]

    async def control(self, method: str, path: str, body: Json | None = None) -> Json:
        """Turn one of the exchange's controls."""
        url = f"http://127.0.0.1:{self.ports['exchange']}/simulator/{path}"
        timeout = aiohttp.ClientTimeout(total=CONTROL_TIMEOUT_SECONDS)
        headers = VenueKeys().headers
        async with self.session.request(method, url, json=body, headers=headers, timeout=timeout) as response:
            answer: Json = orjson.loads(await response.read())
        assert response.status < 300, answer
        return answer

    async def metrics(self, name: str) -> dict[str, float]:
        """The series of a process, summed over their labels."""
        totals: Counter[str] = Counter()
        async with self.session.get(f"http://127.0.0.1:{self.ports[name]}/metrics") as response:
            for line in (await response.text()).splitlines():
                if not line.startswith("#"):
                    series, value = line.rsplit(" ", 1)
                    totals[series.partition("{")[0]] += float(value)  # type: ignore[assignment] # Counter types its values as int
        return dict(totals)


@asynccontextmanager
async def open_arena(folder: Path, *, naive: bool, log: IO[str]) -> AsyncIterator[Arena]:
    """Everything running and ready; `log` takes every line that a process writes."""
    began, deaths = time.monotonic(), Counter[str]()

    def write(name: str, line: str) -> None:
        log.write(f"{time.monotonic() - began:8.3f} {name}: {line}\n")
        if line.startswith("died ("):
            deaths[f"{name} {line.partition(';')[0]}"] += 1

    prepare_folder(folder)
    async with supervision(write) as supervisor, aiohttp.ClientSession() as session:
        postgres = await prepare_postgres(folder, report=lambda _: None, stop_rank=SERVERS_RANK)
        valkey = prepare_valkey(folder, stop_rank=SERVERS_RANK)
        arena = Arena(
            supervisor=supervisor,
            session=session,
            ports={name: free_port() for name in ("exchange", *PROCESSES)},
            environments={},
            database_url=postgres.url,
            redis_url=valkey.url,
            token_secret=secrets.token_hex(32),
            deaths=deaths,
            valkey_data=valkey.program.directory,
        )
        # SIGQUIT is PostgreSQL's immediate stop: nothing here needs to outlive the run.
        await supervisor.start(_lasting(postgres.program, end=signal.SIGQUIT))
        await asyncio.gather(
            supervisor.start(_lasting(_emptied(valkey.program, arena), end=signal.SIGKILL)),
            supervisor.start(_process(arena, "exchange", ["-m", "runtime", "exchange"], rank=EXCHANGE_RANK)),
            asyncio.to_thread(upgrade, postgres.url),
        )
        await execute(postgres.url, AUDIT)
        await asyncio.gather(supervisor.run(_instruments(arena)), *_started_processes(arena, naive=naive))
        yield arena


def _started_processes(arena: Arena, *, naive: bool) -> Iterator[Awaitable[None]]:
    for name in PROCESSES:
        kind = name.partition("-")[0]
        command = ["-m", "runtime", kind]
        if name in WORKERS:
            command = ["-m", "tools.chaos.naive" if naive else "tools.chaos.skewed_worker"]
        yield arena.supervisor.start(_process(arena, name, command, rank=PROCESSES_RANK))


def _lasting(program: Program, *, end: signal.Signals) -> Program:
    return replace(program, deaths_allowed=DEATHS_ALLOWED, stop_signal=end, death_signal=end)


def _emptied(program: Program, arena: Arena) -> Program:
    """The Valkey that comes back empty when the arena says so."""
    usual = program.prepare

    async def prepare() -> None:
        await usual()
        if arena.empties_valkey:
            arena.empties_valkey = False
            shutil.rmtree(arena.valkey_data / "appendonlydir", ignore_errors=True)

    return replace(program, prepare=prepare)


def _process(arena: Arena, name: str, arguments: Sequence[str], *, rank: int) -> Program:
    # The mapping is read at each start, so that the next life can have other settings than this one.
    environment = arena.environments[name] = _environment(arena, name)
    return Program(
        name=name,
        command=[sys.executable, *arguments],
        environment=environment,
        directory=ROOT,
        ready=partial(http_answers, arena.ready_url(name)),
        stop_rank=rank,
        stop_signal=signal.SIGKILL,
        deaths_allowed=DEATHS_ALLOWED,
    )


def _instruments(arena: Arena) -> Program:
    return Program(
        name="instruments",
        command=[sys.executable, "-m", "runtime", "instruments", "sync"],
        environment=_environment(arena, "instruments"),
        directory=ROOT,
        restarts=False,
    )


def _environment(arena: Arena, name: str) -> dict[str, str]:
    exchange = f"127.0.0.1:{arena.ports['exchange']}"
    port = {"api": "PORT", "exchange": "EXCHANGE_PORT"}.get(name.partition("-")[0], "METRICS_PORT")
    return {
        **{known: os.environ[known] for known in INHERITED if known in os.environ},
        **SETTINGS,
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": arena.database_url,
        "REDIS_URL": arena.redis_url,
        "EXCHANGE_URL": f"http://{exchange}",
        "EXCHANGE_STREAM_URL": f"ws://{exchange}/stream",
        "TOKEN_SECRET": arena.token_secret,
        port: str(arena.ports.get(name, 0)),
    }
