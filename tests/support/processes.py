"""Our own processes under test: start one with its settings, wait for what it shows, stop or kill it."""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

from tests.support.warm_starts import COVERAGE_CONFIG, WarmProcess, warm_server
from tools.devstack.probes import http_answers
from tools.devstack.running import launch_command

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.02
START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 15.0
OUTPUT_SHOWN_LINES = 40
INHERITED = ("PATH", "HOME", "TMPDIR", COVERAGE_CONFIG, "COMPILED_OPERATIONS")
"""What a process gets of the test run's own environment; with the last one tests run without compiled operations."""

Result = TypeVar("Result")


@overload
async def eventually(
    condition: Callable[[], Awaitable[Result | None]], *, within_seconds: float, what: str = ""
) -> Result: ...


@overload
async def eventually(condition: Callable[[], Result | None], *, within_seconds: float, what: str = "") -> Result: ...


async def eventually(condition: Callable[[], Any], *, within_seconds: float, what: str = "") -> Any:
    """Call the condition until it returns a true value, and return that; AssertionError after `within_seconds`.

    The condition may be a plain or an async function. Its own errors are not caught.
    """
    try:
        async with asyncio.timeout(within_seconds):
            while True:
                answer = condition()
                result = await answer if inspect.isawaitable(answer) else answer
                if result:
                    return result
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        wanted = what or getattr(condition, "__qualname__", repr(condition))
        raise AssertionError(f"not within {within_seconds} s: {wanted}") from None


@dataclass(slots=True)
class RunningProcess:
    """A process under test and the lines that it wrote so far, standard output and errors together."""

    name: str
    process: asyncio.subprocess.Process | WarmProcess
    output: list[str] = field(default_factory=list)
    silent: bool = False  # It has ended, and every line is read.

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self.process.returncode

    async def shows(self, text: str, *, within_seconds: float) -> str:
        """Wait for a line that contains `text`, and return it; AssertionError when the output ends without one."""

        def found() -> list[str]:
            return [line for line in self.output if text in line]

        await eventually(
            lambda: found() or self.silent, within_seconds=within_seconds, what=f"{text!r} from {self.name}"
        )
        if not found():
            raise AssertionError(f"{self.name} ended without {text!r}:\n{_last_lines(self)}")
        return found()[0]

    async def ends(self, *, within_seconds: float) -> int:
        """Wait for its end, and return its exit code."""
        async with asyncio.timeout(within_seconds):
            return await self.process.wait()

    async def stop(self, *, within_seconds: float = STOP_TIMEOUT_SECONDS) -> int:
        """Send SIGTERM, and return its exit code; TimeoutError when it does not stop."""
        self.send(signal.SIGTERM)
        return await self.ends(within_seconds=within_seconds)

    async def kill(self) -> None:
        """Kill it (SIGKILL), as a crash would."""
        self.send(signal.SIGKILL)
        await self.process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, for example SIGSTOP and SIGCONT; no effect when it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


@asynccontextmanager
async def running(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    ready_url: str | None = None,
    ready: Callable[[], Awaitable[bool]] | None = None,
    within_seconds: float = START_TIMEOUT_SECONDS,
    python: str = sys.executable,
    directory: Path = ROOT,
    is_cold: bool = False,
) -> AsyncIterator[RunningProcess]:
    """Run `python ARGUMENTS…`, for example `["-m", "runtime", "api"]`, until the block ends.

    The block begins when `ready_url` answers, or `ready` is true, or else immediately. `environment` is passed to the
    process together with PATH and the like only: settings of the developer's shell are not inherited. At the end of the
    block the process is terminated, and killed when it does not stop. Fillwire's processes are forked with their
    imports made, see `warm_server`; `is_cold` starts one as outside of the tests.
    """
    given = {name: os.environ[name] for name in INHERITED if name in os.environ}
    given |= {"PYTHONUNBUFFERED": "1"} | dict(environment)
    process: asyncio.subprocess.Process | WarmProcess
    is_ours = list(arguments[:2]) == ["-m", "runtime"] and (python, directory) == (sys.executable, ROOT)
    if is_ours and not is_cold and sys.platform == "linux":
        process = await warm_server().start(arguments[2:], given)
    else:
        process = await asyncio.create_subprocess_exec(
            *launch_command([python, *arguments], death_signal=signal.SIGKILL),
            cwd=directory,
            env=given,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    started = RunningProcess(" ".join(arguments), process)
    reading = asyncio.create_task(_collect(started))
    try:
        await _until_ready(started, ready_url=ready_url, ready=ready, within_seconds=within_seconds)
        yield started
    finally:
        try:
            await started.stop()
        except TimeoutError:
            await started.kill()
        await reading


async def _until_ready(
    started: RunningProcess,
    *,
    ready_url: str | None,
    ready: Callable[[], Awaitable[bool]] | None,
    within_seconds: float,
) -> None:
    async def ready_or_ended() -> bool:
        if started.exit_code is not None:
            return True
        by_url = ready_url is None or await http_answers(ready_url)
        return by_url and (ready is None or await ready())

    try:
        await eventually(ready_or_ended, within_seconds=within_seconds, what=f"{started.name} is ready")
    except AssertionError as error:
        error.add_note(_last_lines(started))
        raise
    if started.exit_code is not None and (ready_url or ready):
        raise AssertionError(f"{started.name} ended with {started.exit_code}:\n{_last_lines(started)}")


async def _collect(started: RunningProcess) -> None:
    if started.process.stdout is None:
        return
    async for line in started.process.stdout:
        started.output.append(line.decode(errors="replace").rstrip("\r\n"))
    started.silent = True


def _last_lines(started: RunningProcess) -> str:
    return "\n".join(started.output[-OUTPUT_SHOWN_LINES:])
