"""Fillwire's processes, forked by a server that has imported everything: see `warm_server`.

Four fifths of the cost of starting a process are its imports (0.8 to 1.5 s of CPU), and the tests start hundreds. Only
on Linux: elsewhere a process does not end with its parent.
"""

import asyncio
import atexit
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from tools.devstack.running import launch_command

ROOT = Path(__file__).parents[2]
READ_MAX_BYTES = 2**16
MESSAGE_MAX_BYTES = 1_000
START_TIMEOUT_SECONDS = 60.0
COVERAGE_CONFIG = "COVERAGE_PROCESS_CONFIG"
"""By this variable coverage.py measures the processes that a measured one starts."""


@dataclass(slots=True)
class WarmProcess:
    """A process that was forked; as much of asyncio's Process as `RunningProcess` needs."""

    pid: int
    stdout: asyncio.StreamReader
    _end: "Future[int]"

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._end.result() if self._end.done() else None

    async def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        return await asyncio.shield(asyncio.wrap_future(self._end))

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; no effect when it has ended."""
        if not self._end.done():
            os.kill(self.pid, number)


@dataclass(slots=True)
class WarmServer:
    """The server of this test run, started with the first process."""

    connection: socket.socket
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _started: "dict[int, Future[tuple[int, Future[int]]]]" = field(default_factory=dict)
    _ends: "dict[int, Future[int]]" = field(default_factory=dict)

    async def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> WarmProcess:
        """Start `python -m runtime ARGUMENTS…`; `environment` is its complete environment."""
        number, started = next(self._numbers), Future[tuple[int, Future[int]]]()
        self._started[number] = started
        reading, writing = os.pipe()
        try:
            request = {"number": number, "arguments": list(arguments), "environment": dict(environment)}
            socket.send_fds(self.connection, [json.dumps(request).encode()], [writing])
        finally:
            os.close(writing)
        output = asyncio.StreamReader(limit=READ_MAX_BYTES)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(output), os.fdopen(reading, "rb", buffering=0)
        )
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            pid, end = await asyncio.wrap_future(started)
        return WarmProcess(pid=pid, stdout=output, _end=end)

    def read(self) -> None:
        """Read the server's messages, until it ends."""
        while message := self.connection.recv(MESSAGE_MAX_BYTES):
            reported = json.loads(message)
            if "request" in reported:
                end = self._ends[reported["pid"]] = Future[int]()
                self._started.pop(reported["request"]).set_result((reported["pid"], end))
            else:
                self._ends.pop(reported["pid"]).set_result(reported["code"])


_servers: list[WarmServer] = []


def warm_server() -> WarmServer:
    """Return the server of this test run."""
    if not _servers:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            launch_command([sys.executable, "-m", "tests.support.warm_server"], death_signal=signal.SIGKILL),
            cwd=ROOT,
            env={name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", COVERAGE_CONFIG) if name in os.environ}
            | {"PYTHONUNBUFFERED": "1"},
            stdin=its.fileno(),
        )
        its.close()
        server = WarmServer(connection=ours)
        reading = threading.Thread(target=server.read, name="warm starts", daemon=True)
        reading.start()
        _servers.append(server)

        def end() -> None:
            ours.shutdown(socket.SHUT_RDWR)
            process.wait()
            reading.join()
            ours.close()

        atexit.register(end)
    return _servers[0]
