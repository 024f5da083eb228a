"""How the local stack starts a program: the launch command, short runs to the end, and the command of a process."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from tools.devstack.errors import LocalStackError

LAUNCH_SCRIPT = Path(__file__).with_name("launch.py")
RUN_TIMEOUT_SECONDS = 60.0
LEFTOVER_POLL_SECONDS = 0.02


class Identity(StrEnum):
    """The user of a program: see `launch.become`."""

    OWN = "own"
    MAPPED = "mapped"
    NOBODY = "nobody"


def launch_command(
    program: Sequence[str], *, death_signal: signal.Signals, identity: Identity = Identity.OWN
) -> list[str]:
    """Return the command that runs `program` so that it gets `death_signal` when this process ends, even by kill -9."""
    interpreter = [sys.executable, "-I", "-S", str(LAUNCH_SCRIPT)]
    return [*interpreter, str(os.getpid()), str(int(death_signal)), identity, *program]


async def run_to_end(
    program: Sequence[str],
    *,
    identity: Identity = Identity.OWN,
    directory: Path,
    stdin: str = "",
    timeout_seconds: float = RUN_TIMEOUT_SECONDS,
) -> str:
    """Run a program to its end and return its output.

    Raises LocalStackError with its output when it fails or takes longer than `timeout_seconds`.
    """
    process = await asyncio.create_subprocess_exec(
        *launch_command(program, death_signal=signal.SIGKILL, identity=identity),
        cwd=directory,
        env=server_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate(stdin.encode())
    except TimeoutError as error:
        raise LocalStackError(f"{program[0]} did not end within {timeout_seconds:.0f} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise LocalStackError(f"{program[0]} failed (exit code {process.returncode}):\n{text}")
    return text


def server_environment() -> dict[str, str]:
    """Return the environment of PostgreSQL and Valkey, without any variable of the user that could change them."""
    # Without LC_ALL=C, macOS may start threads inside PostgreSQL's postmaster, which then refuses to run.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def command_of(pid: int) -> str:
    """Return the command line of a running process, or an empty text when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        if Path("/proc/self").exists():
            return ""
    return _command_by_ps(pid)


def _command_by_ps(pid: int) -> str:
    try:
        answer = subprocess.run(
            ["ps", "-p", str(pid), "-o", "command="],  # noqa: S607  # Its path differs between systems.
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_TIMEOUT_SECONDS,
        )
    except OSError:
        return ""
    return answer.stdout.strip()


async def end_leftover(pid: int, *, belongs: str, ask: signal.Signals, within_seconds: float) -> bool:
    """Stop a server that an earlier run left behind; return false when `pid` is not one whose command contains
    `belongs`.

    Raises LocalStackError when it is still running after `within_seconds`.
    """
    if belongs not in command_of(pid):
        return False
    try:
        os.kill(pid, ask)
        async with asyncio.timeout(within_seconds):
            while belongs in command_of(pid):  # noqa: ASYNC110  # There is no event for the end of another's child.
                await asyncio.sleep(LEFTOVER_POLL_SECONDS)
    except ProcessLookupError:
        return True
    except TimeoutError as error:
        raise LocalStackError(f"A server of an earlier run (pid {pid}) does not end. Stop it: kill -9 {pid}") from error
    return True
