"""What every process has in common: settings, logs, metrics, an event loop, and a clean stop on SIGTERM or Ctrl-C."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

from domain.model.errors import FillwireError
from runtime.alerts.alerter import open_alerts
from runtime.observability.log_throttling import Repeats, telling_repeats
from runtime.observability.logs import configure_logs, get_logger
from runtime.observability.metrics import Metrics
from runtime.observability.telemetry import ProcessTelemetry
from runtime.processes.garbage import collect_garbage
from runtime.settings import Settings, SettingsError, load_settings

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One running process. `stop` is set when it is asked to stop; whoever waits for it then winds up."""

    name: str
    settings: Settings
    telemetry: ProcessTelemetry
    stop: asyncio.Event


ProcessMain = Callable[[Process], Coroutine[None, None, None]]


def utc_now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A new uuid version 7: ids sort by the time of their making (RFC 9562).

    Made as the driver makes those that it reads, in C: making and writing one takes a third of the time.
    """
    return pgproto.UUID(uuid_utils.uuid7().bytes)


def run_process(name: str, head: ProcessMain, *, requires: Sequence[str] = ()) -> int:
    """Run a process until it stops; gives the exit code. Wrong or missing settings end it with one clear message."""
    gc.freeze()  # What was imported stays for good: a collection need not look at it again.
    gc.enable()
    try:
        settings = load_settings()
        settings.require(*requires)
    except SettingsError as error:
        print(f"fillwire {name} cannot start:\n{error}", file=sys.stderr)  # noqa: T201 - there is no log without settings
        return EXIT_BAD_SETTINGS
    repeats = configure_logs(
        process=name,
        log_format=settings.log_format,
        level=settings.log_level,
        secrets=settings.secrets(),
        gather_seconds=settings.log_gather_seconds,
    )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(name, head, settings, repeats))


async def until_stopped(process: Process, *tasks: Callable[[], Awaitable[None]]) -> None:
    """Run the tasks until the process is asked to stop; then cancel them and wait for them to wind up.

    A task that fails takes the process down: its supervisor starts a fresh one.
    """

    async def stop_all() -> None:
        await process.stop.wait()
        raise _StoppedError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stop_all())
            group.create_task(collect_garbage())
            for task in tasks:
                group.create_task(_as_coroutine(task))
    except* _StoppedError:
        process.telemetry.info("stopped", process=process.name)


class _StoppedError(Exception):
    """The process was asked to stop."""


async def _as_coroutine(task: Callable[[], Awaitable[None]]) -> None:
    await task()


async def _run(name: str, head: ProcessMain, settings: Settings, repeats: Repeats) -> int:
    process = Process(
        name=name, settings=settings, telemetry=ProcessTelemetry(Metrics(), get_logger()), stop=asyncio.Event()
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stop.set)
    process.telemetry.info("started", process=name)
    try:
        async with (
            telling_repeats(repeats),
            open_alerts(settings, telemetry=process.telemetry, process_name=name),
        ):
            await head(process)
    except Exception as error:
        exit_code = _said_why(process, error)
        if not exit_code:
            raise
        return exit_code
    return 0


def _said_why(process: Process, error: Exception) -> int:
    """Say in a sentence why the process ends, and give its exit code; 0 when only a traceback could tell."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # A task group had it, with nothing to add.
    if isinstance(error, SettingsError):
        process.telemetry.error("cannot_start", process=process.name, error=str(error))
        return EXIT_BAD_SETTINGS
    if isinstance(error, FillwireError):
        process.telemetry.error("ended", process=process.name, error=str(error))
        return EXIT_FAILED
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not there on Windows

    return uvloop.new_event_loop
