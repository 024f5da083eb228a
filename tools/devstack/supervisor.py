"""Runs programs concurrently: started on request, watched, restarted when they end, stopped in order.

It is independent of Fillwire: see `program.Program`. No program outlives it: see `launch`.
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tools.devstack.errors import LocalStackError
from tools.devstack.program import Program
from tools.devstack.running import launch_command

READY_POLL_SECONDS = 0.02
LAST_OUTPUT_TIMEOUT_SECONDS = 2.0
LINE_MAX_BYTES = 64 * 1024

Write = Callable[[str, str], None]
"""Called with a program's name and one line of its output, or one about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionPolicy:
    """How long a program may take to be ready and to stop, and when one that dies is started again: after a pause,
    unless it died too often within the window."""

    restart_delay_seconds: float = 1.0
    deaths_window_seconds: float = 60.0
    ready_timeout_seconds: float = 60.0
    stop_timeout_seconds: float = 15.0


@dataclass(slots=True)
class _Run:
    """A started program, and the state of its process."""

    program: Program
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None
    deaths: deque[float] = field(default_factory=deque)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def supervision(write: Write, policy: SupervisionPolicy | None = None) -> AsyncIterator["Supervisor"]:
    """Open a supervisor whose programs are all stopped, in order, when the block ends, however it ends.

    Errors inside the block are raised in an exception group, as from any task group.
    """
    async with asyncio.TaskGroup() as tasks:
        supervisor = Supervisor(tasks, write, policy or SupervisionPolicy())
        try:
            yield supervisor
        finally:
            await supervisor.stop()


class Supervisor:
    """Starts programs and keeps them running; use it through `supervision`."""

    def __init__(self, tasks: asyncio.TaskGroup, write: Write, policy: SupervisionPolicy) -> None:
        self._policy = policy
        self._tasks = tasks
        self._write = write
        self._runs: list[_Run] = []
        self._stopping = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, program: Program) -> None:
        """Start a program and return when it is ready.

        Raises LocalStackError when it, or another one meanwhile, has crashed repeatedly or is not ready in time.
        """
        run = self._watch(program)
        try:
            async with asyncio.timeout(self._policy.ready_timeout_seconds):
                await self._wait_for(run.ready.wait())
        except TimeoutError as error:
            seconds = self._policy.ready_timeout_seconds
            raise LocalStackError(f"{program.name} was not ready within {seconds:.0f} s.") from error

    def begin(self, program: Program) -> None:
        """Start a program that ends by itself, and wait neither for it nor for its exit code."""
        self._watch(program)

    async def run(self, program: Program) -> None:
        """Run a program that ends by itself; raises LocalStackError when its exit code is not 0."""
        run = self._watch(program)
        await self._wait_for(run.ended.wait())
        if run.process is None or run.process.returncode != 0:
            raise LocalStackError(f"{program.name} failed; its lines above say why.")

    async def wait(self) -> None:
        """Wait until a program has crashed repeatedly, and raise that as LocalStackError."""
        await asyncio.shield(self._failure)

    def pid(self, name: str) -> int:
        """Return the process id of a running program, by its name; raise LookupError when it does not run."""
        for run in self._runs:
            if run.program.name == name and run.process is not None and run.process.returncode is None:
                return run.process.pid
        raise LookupError(f"{name} is not running")

    async def stop(self) -> None:
        """Stop all programs, rank after rank, each by its stop signal and killed when it takes too long."""
        self._stopping.set()
        if not self._failure.cancel():
            self._failure.exception()  # Retrieved, or asyncio would log that it never was.
        for rank in sorted({run.program.stop_rank for run in self._runs}):
            async with asyncio.TaskGroup() as ends:
                for run in self._runs:
                    if run.program.stop_rank == rank:
                        ends.create_task(self._end(run))

    def _watch(self, program: Program) -> _Run:
        run = _Run(program)
        self._runs.append(run)
        watcher = self._tasks.create_task(self._keep_running(run), name=program.name)
        watcher.add_done_callback(lambda _: run.ended.set())
        return run

    async def _wait_for(self, condition: Coroutine[Any, Any, object]) -> None:
        """Wait for a condition, or raise the first failure."""
        waiting = asyncio.create_task(condition)
        both: set[asyncio.Future[Any]] = {waiting, self._failure}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._failure.done():
            self._failure.result()

    async def _keep_running(self, run: _Run) -> None:
        """Run a program until all stop, again whenever it ends: one that crashes repeatedly stops everything."""
        program, clock = run.program, asyncio.get_running_loop().time
        while not self._stopping.is_set():
            try:
                exit_code = await self._run_once(run)
            except (LocalStackError, OSError) as error:
                self._fail(LocalStackError(f"{program.name} cannot be started: {error}"))
                return
            if self._stopping.is_set() or not program.restarts:
                return
            now = clock()
            run.deaths.append(now)
            while run.deaths[0] < now - self._policy.deaths_window_seconds:
                run.deaths.popleft()
            if len(run.deaths) > program.deaths_allowed:
                self._fail(
                    LocalStackError(f"{program.name} died {len(run.deaths)} times within a minute: {exit_code}.")
                )
                return
            pause_seconds = self._policy.restart_delay_seconds
            self._write(program.name, f"died ({exit_code}); restarting in {pause_seconds:.0f} s")
            await _wait_at_most(self._stopping.wait(), pause_seconds)

    def _fail(self, error: LocalStackError) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _run_once(self, run: _Run) -> str:
        """Start the program once, wait until it ends, and return its end as text."""
        program = run.program
        await program.prepare()
        process = await self._spawn(program)
        run.process = process
        if self._stopping.is_set():
            # `stop` was called during the spawn, when there was no process to end.
            await self._end(run)
        async with asyncio.TaskGroup() as tasks:
            output = tasks.create_task(self._forward_output(program, process))
            probe = tasks.create_task(_set_when_ready(run))
            exit_code = await process.wait()
            probe.cancel()
            await _wait_at_most(asyncio.shield(output), LAST_OUTPUT_TIMEOUT_SECONDS)
            output.cancel()
        return f"killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"exit code {exit_code}"

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *launch_command(program.command, death_signal=program.death_signal, identity=program.identity),
            cwd=program.directory,
            env=dict(program.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A separate session: Ctrl-C at the terminal reaches only this process, which stops all in order.
            start_new_session=True,
        )

    async def _forward_output(self, program: Program, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        rest = b""
        while chunk := await process.stdout.read(LINE_MAX_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) >= LINE_MAX_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._write_line(program, line)
        if rest:
            self._write_line(program, rest)

    def _write_line(self, program: Program, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        if not program.hides(text):
            self._write(program.name, text)

    async def _end(self, run: _Run) -> None:
        """Send the stop signal to the program's process, and kill its whole session when it does not end."""
        process = run.process
        if process is None or process.returncode is not None:
            return
        _send(process, run.program.stop_signal)
        timeout_seconds = self._policy.stop_timeout_seconds
        if not await _wait_at_most(process.wait(), timeout_seconds):
            self._write(run.program.name, f"did not stop within {timeout_seconds:.0f} s; killing it")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _set_when_ready(run: _Run) -> None:
    while not await run.program.ready():  # noqa: ASYNC110  # Another process cannot set an event of ours.
        await asyncio.sleep(READY_POLL_SECONDS)
    run.ready.set()


async def _wait_at_most(condition: Awaitable[object], seconds: float) -> bool:
    """Return whether the condition was met within the time."""
    try:
        async with asyncio.timeout(seconds):
            await condition
    except TimeoutError:
        return False
    return True


def _send(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)
