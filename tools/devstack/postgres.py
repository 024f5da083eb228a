"""The embedded PostgreSQL: makes its data folder once, and describes the server to the supervisor."""

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools.devstack.errors import LocalStackError
from tools.devstack.folder import stored_secret
from tools.devstack.identity import Home, choose_home
from tools.devstack.installations import find_postgres
from tools.devstack.ports import HOST, free_port
from tools.devstack.probes import postgres_answers
from tools.devstack.program import Program
from tools.devstack.running import command_of, end_leftover, run_to_end, server_environment

DATA_NAME = "postgres"
PASSWORD_NAME = "postgres-password"  # noqa: S105  # A file's name.
USER = "fillwire"
DATABASE = "fillwire"
MAX_CONNECTIONS = 200
LEFTOVER_TIMEOUT_SECONDS = 15.0
# Right after a kill -9 of the postmaster its children may still have the shared memory, and a restart fails because of
# it.
DEATHS_ALLOWED = 5
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": str(MAX_CONNECTIONS),
    "log_checkpoints": "off",
}
ROUTINE = (
    "starting PostgreSQL",
    "listening on",
    "database system was shut down at",
    "database system is ready",
    "aborting any active transactions",
    'background worker "logical replication launcher"',
    "shutting down",
)
"""What it logs at every start and stop, and is not shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresServer:
    """An embedded PostgreSQL: the program to supervise, and where it answers then."""

    program: Program
    url: str


async def prepare_postgres(folder: Path, *, report: Callable[[str], None], stop_rank: int = 0) -> PostgresServer:
    """Get a server for the data in `folder` ready to be started, making the data the first time.

    Raises LocalStackError when there is no PostgreSQL to run, or the data are of another major version.
    """
    home = await choose_home(find_postgres(), folder)
    data = home.folder / DATA_NAME
    password = stored_secret(folder / PASSWORD_NAME)
    if data.exists():
        _require_same_major(data, home.major)
    else:
        report(f"making the data folder of PostgreSQL {home.major} (once)")
        await _make_data(data, home, password)
    port = free_port()
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    program = Program(
        name="postgres",
        command=[home.programs.postgres, "-D", str(data), "-p", str(port), *settings],
        environment=server_environment(),
        directory=home.folder,
        prepare=partial(_clear_leftover, data),
        ready=partial(_answers, data, port),
        identity=home.identity,
        stop_rank=stop_rank,
        # SIGINT is PostgreSQL's "fast" stop: it ends sessions and writes everything. SIGTERM waits for the clients.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        deaths_allowed=DEATHS_ALLOWED,
        hides=_is_routine,
    )
    return PostgresServer(program=program, url=f"postgresql://{USER}:{password}@{HOST}:{port}/{DATABASE}")


def _is_routine(line: str) -> bool:
    _, found, message = line.partition("LOG:  ")
    return bool(found) and message.startswith(ROUTINE)


def _require_same_major(data: Path, major: int) -> None:
    version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != str(major):
        raise LocalStackError(
            f"{data} was made by PostgreSQL {version}, the server found is {major}. "
            "Run './dev reset' to delete the local data and start afresh, or use the old server through DATABASE_URL."
        )


async def _make_data(data: Path, home: Home, password: str) -> None:
    """Run initdb in a temporary folder, then rename it: an interruption leaves no folder that looks complete."""
    new = data.with_name(f"{data.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    await run_to_end(
        [
            home.programs.initdb,
            *("--pgdata", str(new), "--username", USER, "--encoding", "UTF8"),
            # The same collation on every system, independent of its libc.
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            *("--auth-local", "reject", "--auth-host", "scram-sha-256", "--no-instructions"),
        ],
        identity=home.identity,
        directory=home.folder,
    )
    # In single-user mode, which needs no password, so that the server never listens without one.
    await run_to_end(
        [home.programs.postgres, "--single", "-D", str(new), "postgres"],
        identity=home.identity,
        directory=home.folder,
        stdin=f"ALTER ROLE {USER} PASSWORD '{password}'\nCREATE DATABASE {DATABASE}\n",
    )
    new.rename(data)


async def _answers(data: Path, port: int) -> bool:
    """Return whether the server accepts connections."""
    # Its lock file is checked first: a connection during its start would log a line with FATAL.
    return "ready" in _lock_lines(data) and await postgres_answers(port=port, user=USER)


def _lock_lines(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


async def _clear_leftover(data: Path) -> None:
    """Stop a server that an earlier run left on this folder, and remove a lock file that names another process.

    PostgreSQL refuses to start when postmaster.pid contains the number of any running process of the same user.
    """
    lines = _lock_lines(data)
    if not lines or not lines[0].isdecimal():
        return
    pid = int(lines[0])
    belongs = f"-D {data}"
    ended = await end_leftover(pid, belongs=belongs, ask=signal.SIGINT, within_seconds=LEFTOVER_TIMEOUT_SECONDS)
    if not ended and command_of(pid):
        (data / "postmaster.pid").unlink(missing_ok=True)
