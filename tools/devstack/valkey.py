"""The embedded Valkey: writes its configuration, and describes the server to the supervisor."""

import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools.devstack.folder import FOLDER_MODE, stored_secret, write_secret
from tools.devstack.installations import find_valkey
from tools.devstack.ports import HOST, free_port
from tools.devstack.probes import valkey_answers
from tools.devstack.program import Program
from tools.devstack.running import end_leftover, server_environment

DATA_NAME = "valkey"
PASSWORD_NAME = "valkey-password"  # noqa: S105  # A file's name.
CONFIGURATION_NAME = "valkey.conf"
LEFTOVER_TIMEOUT_SECONDS = 15.0
# Advice for a dedicated machine of Valkey, and the first of two lines about each end.
ROUTINE = ("WARNING Memory overcommit must be enabled", "scheduling shutdown")


@dataclass(frozen=True, kw_only=True, slots=True)
class ValkeyServer:
    """An embedded Valkey: the program to supervise, and where it answers then."""

    program: Program
    url: str


def prepare_valkey(folder: Path, *, stop_rank: int = 0) -> ValkeyServer:
    """Get a server for the data in `folder` ready to be started; raises LocalStackError when there is none to run."""
    command = find_valkey()
    password = stored_secret(folder / PASSWORD_NAME)
    data = folder / DATA_NAME
    data.mkdir(mode=FOLDER_MODE, exist_ok=True)
    port = free_port()
    configuration = folder / CONFIGURATION_NAME
    # In a file, not on the command line, where every user of the machine could read the password.
    write_secret(configuration, _configuration(data=data, port=port, password=password))
    program = Program(
        name="valkey",
        command=[command, str(configuration)],
        environment=server_environment(),
        directory=data,
        prepare=partial(_end_leftover, data, configuration),
        ready=partial(valkey_answers, port=port, password=password),
        stop_rank=stop_rank,
        stop_signal=signal.SIGTERM,
        death_signal=signal.SIGTERM,
        hides=lambda line: any(text in line for text in ROUTINE),
    )
    return ValkeyServer(program=program, url=f"redis://:{password}@{HOST}:{port}/0")


def _configuration(*, data: Path, port: int, password: str) -> str:
    settings = {
        "bind": HOST,
        "port": str(port),
        "requirepass": password,
        "dir": f'"{data}"',
        "pidfile": f'"{data / "valkey.pid"}"',
        "appendonly": "yes",
        "save": '""',  # The append-only file has all data; an additional snapshot would only add cost.
        "loglevel": "warning",
        # Valkey overwrites its arguments; a leftover of an earlier run is identified by this file's name.
        "proc-title-template": '"{title} {listen-addr} {config-file}"',
    }
    return "\n".join(f"{name} {value}" for name, value in settings.items())


async def _end_leftover(data: Path, configuration: Path) -> None:
    """Stop a server that an earlier run left on this folder: two on one append-only file would corrupt it."""
    try:
        pid = int((data / "valkey.pid").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return
    await end_leftover(pid, belongs=str(configuration), ask=signal.SIGTERM, within_seconds=LEFTOVER_TIMEOUT_SECONDS)
