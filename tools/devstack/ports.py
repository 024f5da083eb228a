"""Free ports for the embedded servers, and an error that names the holder when a port is in use."""

import errno
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Container
from pathlib import Path

from tools.devstack.errors import LocalStackError
from tools.devstack.running import command_of

HOST = "127.0.0.1"
# Below the kernel's range of ports for outgoing connections (32768 on Linux, 49152 on macOS): a port found free here
# stays free until it is used, and when a crashed server is restarted.
FIRST_FREE_PORT = 20_000
LAST_FREE_PORT = 31_999
FREE_PORT_TRIES = 200
PORT_SUGGESTION_STEP = 10
LAST_PORT = 65_535
TCP_LISTEN = "0A"  # The state's number in /proc/net/tcp.
LOOKUP_TIMEOUT_SECONDS = 5.0


def free_port() -> int:
    """Return a free port of 127.0.0.1, chosen at random so that concurrent runs do not collide."""
    for _ in range(FREE_PORT_TRIES):
        port = FIRST_FREE_PORT + secrets.randbelow(LAST_FREE_PORT - FIRST_FREE_PORT + 1)
        if not is_taken(port):
            return port
    raise LocalStackError(f"No free port was found between {FIRST_FREE_PORT} and {LAST_FREE_PORT}.")


def is_taken(port: int) -> bool:
    """Return whether the port is in use; raise LocalStackError when it is reserved for the system."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise LocalStackError(
                f"Port {port} is reserved for the system. Choose one from 1024 to {LAST_PORT}."
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise
    return False


def require_free(port: int, *, purpose: str, setting: str, base: int, avoid: Container[int] = ()) -> None:
    """Raise LocalStackError, naming the holder and another port, when the port is in use.

    `base` is the present value of `setting`, from which `port` follows.
    """
    if not is_taken(port):
        return
    offset = port - base
    suggestion = port + PORT_SUGGESTION_STEP
    while suggestion in avoid or (suggestion <= LAST_PORT and is_taken(suggestion)):
        suggestion += PORT_SUGGESTION_STEP
    raise LocalStackError(
        f"port {port} for {purpose} is already in use{_holder(port)}. Free it, or choose another: "
        f"{setting}={suggestion - offset} ./dev up"
    )


def _holder(port: int) -> str:
    pid = _pid_by_proc(port) if Path("/proc/net/tcp").exists() else _pid_by_lsof(port)
    if pid is None:
        return ""
    command = command_of(pid).split(" ")[0]
    return f" by {Path(command).name or 'a program'} (pid {pid})"


def _pid_by_proc(port: int) -> int | None:
    """Return the process that listens; processes of other users do not show their files."""
    links = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in links:
                return int(descriptor.parts[2])
        except OSError:
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}") and fields[3] == TCP_LISTEN:
                inodes.add(fields[9])
    return inodes


def _pid_by_lsof(port: int) -> int | None:
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    answer = subprocess.run(
        [lsof, "-nP", "-t", f"-iTCP:{port}", "-sTCP:LISTEN"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LOOKUP_TIMEOUT_SECONDS,
    )
    found = re.search(r"\d+", answer.stdout)
    return int(found.group()) if found else None
