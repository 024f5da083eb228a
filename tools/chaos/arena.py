"""The arena: PostgreSQL, Valkey, the simulated exchange and six processes of ours, each restarted when it ends.

The exchange is restarted and never killed: its journal, which survives a restart, is the truth, and data that is only
in its memory is read before. Everything listens on loopback and ends with this process.
"""

import asyncio
import os
import re
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

from exchange.simulator.keys import VenueKeys
from tests.support.migrated import migrate
from tests.support.processes import INHERITED, ROOT
from tools.chaos.arena_settings import SETTINGS, SETTINGS_WITHOUT_ID_CHECK
from tools.chaos.audit import AUDIT
from tools.chaos.ledger import execute
from tools.chaos.schedule import APIS, PROCESSES, WORKERS
from tools.chaos.skewed_process import OFFSET_SETTING
from tools.devstack.database_roles import role_url
from tools.devstack.folder import prepare_folder
from tools.devstack.ports import free_port
from tools.devstack.postgres import prepare_postgres
from tools.devstack.probes import http_answers
from tools.devstack.program import Program
from tools.devstack.supervisor import Supervisor, supervision
from tools.devstack.valkey import prepare_valkey

CONTROL_TIMEOUT_SECONDS = 5.0
CONTROL_WITHIN_SECONDS = 30.0
CONTROL_RETRY_SECONDS = 0.1
HTTP_ERROR = 400
DEATHS_ALLOWED = 100_000
SKEWED = ("-m", "tools.chaos.skewed_process")
ALERTED = re.compile(r"\] (fills_excess|venue_order_mismatch) .*\border_id=([\w-]+) .*\bvenue_order_id=([\w-]+)")
PROCESSES_RANK, EXCHANGE_RANK, SERVERS_RANK = range(3)

Json = dict[str, Any]
Alert = tuple[str, str, str]


@dataclass(slots=True, kw_only=True)
class Arena:
    """What runs, and the levers to harm it. `deaths` counts the ends of processes by name and cause.

    `alerts` are those that a person resolves, as lines of the logs name them: the event, the order's id and its id at
    the exchange.
    """

    supervisor: Supervisor
    session: aiohttp.ClientSession
    ports: dict[str, int]
    probe_ports: dict[str, int]
    environments: dict[str, dict[str, str]]
    database_url: str
    redis_url: str
    token_secret: str
    broadcast_key: str
    deaths: Counter[str]
    valkey_data: Path
    journal_file: Path
    has_id_check: bool
    clock_offsets: Mapping[str, float]
    alerts: set[Alert]
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
        """Return the address that answers when the process serves."""
        return f"{self.probes_url(name)}/healthz"

    def probes_url(self, name: str) -> str:
        """Return the address of the process's health and metrics."""
        return f"http://127.0.0.1:{self.probe_ports[name]}"

    async def is_ready(self, name: str) -> bool:
        """Return whether the process serves."""
        return await http_answers(self.ready_url(name))

    async def not_ready(self) -> list[str]:
        """Return our processes that do not serve."""
        return [name for name in PROCESSES if not await self.is_ready(name)]

    def process_id(self, name: str) -> int | None:
        """Return the id of a process, or None when it does not run at the moment."""
        with suppress(LookupError):
            return self.supervisor.pid(name)
        return None

    async def control(self, method: str, path: str, body: Json | Sequence[Json] | None = None) -> Json:
        """Use one of the exchange's controls that may be used twice, as soon as the exchange runs.

        Raises aiohttp.ClientError or TimeoutError when it does not run for CONTROL_WITHIN_SECONDS.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONTROL_WITHIN_SECONDS
        while True:
            try:
                status, answer = await self.ask_exchange(method, f"/simulator/{path}", body)
            except (aiohttp.ClientError, TimeoutError):
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(CONTROL_RETRY_SECONDS)
                continue
            assert status < HTTP_ERROR, answer
            return answer

    async def ask_exchange(self, method: str, path: str, body: Json | Sequence[Json] | None = None) -> tuple[int, Json]:
        """Send one request to the exchange; return the status and the JSON of its answer, {} where it has none.

        Raises aiohttp.ClientError or TimeoutError when there is no answer.
        """
        url = f"http://127.0.0.1:{self.ports['exchange']}{path}"
        timeout = aiohttp.ClientTimeout(total=CONTROL_TIMEOUT_SECONDS)
        headers = VenueKeys().headers
        async with self.session.request(method, url, json=body, headers=headers, timeout=timeout) as response:
            content = await response.read()
            answer: Json = orjson.loads(content) if response.content_type == "application/json" and content else {}
            return response.status, answer

    async def metrics(self, name: str) -> dict[str, float]:
        """Return the series of a process, summed over their labels."""
        totals: Counter[str] = Counter()
        async with self.session.get(f"{self.probes_url(name)}/metrics") as response:
            for line in (await response.text()).splitlines():
                if not line.startswith("#"):
                    series, value = line.rsplit(" ", 1)
                    totals[series.partition("{")[0]] += float(value)  # type: ignore[assignment] # Counter types its values as int
        return dict(totals)


@asynccontextmanager
async def open_arena(
    folder: Path, *, worker: Sequence[str], has_id_check: bool, clock_offsets: Mapping[str, float], log: IO[str]
) -> AsyncIterator[Arena]:
    """Run everything until it is ready. `worker` are the interpreter's arguments for a worker; `log` receives every
    line that a process writes. `clock_offsets` are by the names of the processes, in seconds.
    """
    began, deaths, alerts = time.monotonic(), Counter[str](), set[Alert]()

    def write(name: str, line: str) -> None:
        log.write(f"{time.monotonic() - began:8.3f} {name}: {line}\n")
        if line.startswith("died ("):
            deaths[f"{name} {line.partition(';')[0]}"] += 1
        elif (found := ALERTED.search(line)) is not None:
            alerts.add((found[1], found[2], found[3]))

    prepare_folder(folder)
    async with supervision(write) as supervisor, aiohttp.ClientSession() as session:
        postgres = await prepare_postgres(folder, report=lambda _: None, stop_rank=SERVERS_RANK)
        valkey = prepare_valkey(folder, stop_rank=SERVERS_RANK)
        ports = {name: free_port() for name in ("exchange", *APIS)}
        arena = Arena(
            supervisor=supervisor,
            session=session,
            ports=ports,
            # The exchange serves its health on its own port.
            probe_ports={"exchange": ports["exchange"], **{name: free_port() for name in PROCESSES}},
            environments={},
            database_url=postgres.url,
            redis_url=valkey.url,
            token_secret=secrets.token_hex(32),
            broadcast_key=secrets.token_hex(32),
            deaths=deaths,
            valkey_data=valkey.program.directory,
            journal_file=folder / "exchange-journal.jsonl",
            has_id_check=has_id_check,
            clock_offsets=clock_offsets,
            alerts=alerts,
        )
        # SIGQUIT is PostgreSQL's immediate stop: no data is needed after the run.
        await supervisor.start(_lasting(postgres.program, end=signal.SIGQUIT))
        await asyncio.gather(
            supervisor.start(_lasting(_emptied(valkey.program, arena), end=signal.SIGKILL)),
            supervisor.start(_process(arena, "exchange", [*SKEWED, "exchange"], rank=EXCHANGE_RANK)),
            asyncio.to_thread(migrate, postgres.url),
        )
        await execute(postgres.url, AUDIT)
        await asyncio.gather(supervisor.run(_instruments(arena)), *_started_processes(arena, worker=worker))
        yield arena


def _started_processes(arena: Arena, *, worker: Sequence[str]) -> Iterator[Awaitable[None]]:
    for name in PROCESSES:
        command = worker if name in WORKERS else [*SKEWED, name.partition("-")[0]]
        yield arena.supervisor.start(_process(arena, name, command, rank=PROCESSES_RANK))


def _lasting(program: Program, *, end: signal.Signals) -> Program:
    return replace(program, deaths_allowed=DEATHS_ALLOWED, stop_signal=end, death_signal=end)


def _emptied(program: Program, arena: Arena) -> Program:
    """Return the Valkey program, which starts empty when the arena requires it."""
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
    own = {"api": "PORT", "exchange": "EXCHANGE_PORT"}.get(name.partition("-")[0])
    return {
        **{known: os.environ[known] for known in INHERITED if known in os.environ},
        **SETTINGS,
        **({} if arena.has_id_check else SETTINGS_WITHOUT_ID_CHECK),
        "PYTHONUNBUFFERED": "1",
        OFFSET_SETTING: str(arena.clock_offsets.get(name, 0.0)),
        "DATABASE_URL": role_url(arena.database_url, name),
        "REDIS_URL": arena.redis_url,
        "EXCHANGE_URL": f"http://{exchange}",
        "EXCHANGE_STREAM_URL": f"ws://{exchange}/stream",
        "EXCHANGE_JOURNAL_FILE": str(arena.journal_file),
        "TOKEN_SECRET": arena.token_secret,
        "BROADCAST_KEY": arena.broadcast_key,
        **({"METRICS_PORT": str(arena.probe_ports[name])} if name in PROCESSES else {}),
        **({own: str(arena.ports[name])} if own else {}),
    }
