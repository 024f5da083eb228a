"""What every process shares: settings, logs, metrics, an event loop, garbage collection, a clean stop."""

import asyncio
import gc
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, perf_counter
from uuid import UUID

import uuid_utils
from asyncpg.pgproto import pgproto

from domain.model.errors import FillwireError
from domain.ports.clock_and_ids import Clock, NewId
from runtime.alerts.alerter import open_alerts
from runtime.observability.log_throttling import LogThrottle, throttling
from runtime.observability.logs import configure_logs, get_logger, log_uncaught_errors
from runtime.observability.metrics import Metrics
from runtime.observability.telemetry import ProcessTelemetry
from runtime.settings import Settings, SettingsError, load_settings
from runtime.settings.insecure import NAMES, Risk, refuse_insecure, unknown_names
from runtime.settings.secret_files import is_open_to_others, secret_files

EXIT_FAILED = 1
EXIT_BAD_SETTINGS = 2
GC_THRESHOLDS = (50_000, 2, 1_000_000_000)
"""New objects before a collection of generation 0, such collections before one of generation 1, and never one of
generation 2: with two thousand websockets CPython's own pace stops the process for 20 to 65 ms several times a second.
Generation 0 is large enough that the objects of hundreds of waiting requests are gone before they are scanned."""
FULL_COLLECTION_PAUSE_MIN_SECONDS = 30.0
FULL_COLLECTION_PAUSE_TIMES = 1_000
"""The pause before a full collection, in durations of the last one: all of them take a thousandth of the time."""


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyClock:
    """A clock for pauses within one process: it starts at the present moment and never jumps, as the wall clock does
    when it is set. `elapsed_seconds` is monotonic."""

    elapsed_seconds: Callable[[], float] = monotonic
    started_at: datetime = field(default_factory=utc_now)
    started_seconds: float = field(init=False)

    def __post_init__(self) -> None:
        """Note where the monotonic clock starts."""
        object.__setattr__(self, "started_seconds", self.elapsed_seconds())

    def __call__(self) -> datetime:
        """Return the time, aware, in UTC."""
        return self.started_at + timedelta(seconds=self.elapsed_seconds() - self.started_seconds)


def new_id() -> UUID:
    """Return a new uuid version 7: ids sort by their time of creation (RFC 9562).

    It has the driver's own type, implemented in C: creating and writing one takes a third of the time.
    """
    return pgproto.UUID(uuid_utils.uuid7().bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One running process. `stop` is set when it is asked to stop."""

    name: str
    settings: Settings
    telemetry: ProcessTelemetry
    stop: asyncio.Event
    clock: Clock = field(default_factory=lambda: utc_now)  # Read late: a fault run replaces it.
    steady_clock: Clock = field(default_factory=SteadyClock)
    """For pauses, which must neither end nor grow when the wall clock is set."""
    new_id: NewId = new_id
    random: Callable[[], float] = random.random


ProcessMain = Callable[[Process], Coroutine[None, None, None]]
"""What one process runs until it stops: `run` of a module in `runtime.processes`, or an operator's command."""


def run_process(name: str, main: ProcessMain, *, requires: Sequence[str] = ()) -> int:
    """Run a process until it stops and return its exit code. Unusable settings end it with one message."""
    gc.freeze()  # Imported modules stay until the end: no collection needs to scan them.
    gc.enable()
    try:
        settings = load_settings()
        settings.require(*requires)
        allowed = refuse_insecure(settings, process=name)
    except SettingsError as error:
        print(f"fillwire {name} cannot start:\n{error}", file=sys.stderr)  # noqa: T201 - there is no log without settings
        return EXIT_BAD_SETTINGS
    throttle = configure_logs(
        process=name,
        log_format=settings.log_format,
        level=settings.log_level,
        secrets=settings.secrets(),
        gather_seconds=settings.log_gather_seconds,
    )
    log_uncaught_errors()
    _warn_of_settings(settings, allowed)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(name, main, settings, throttle))


def _warn_of_settings(settings: Settings, allowed: Sequence[Risk]) -> None:
    """Log what a person should know about the settings, though the process starts with them."""
    log = get_logger()
    for risk in allowed:
        log.warning("insecure_setting_allowed", setting=risk.setting.upper(), allowed_by=risk.name)
    for name in unknown_names(settings):
        log.warning("insecure_name_unknown", name=name, known=", ".join(NAMES), next="allows nothing")
    environment = {name.lower(): value for name, value in os.environ.items()}
    for setting, path in secret_files(Settings.model_fields, environment):
        if is_open_to_others(path):
            log.warning("secret_file_open_to_others", setting=setting.upper(), file=str(path), fix="chmod o-rwx")


async def until_stopped(
    process: Process,
    *tasks: Callable[[], Awaitable[None]],
    probes: Callable[[], Awaitable[None]] | None = None,
    collecting: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Run the tasks until a request to stop; then cancel them and wait until they end.

    `probes` is cancelled behind them: /readyz says that the process stops for as long as it does. A task that fails
    ends the process: its supervisor starts a new one. Garbage is collected by `collecting`, or by `collect_garbage`.
    """

    async def stop_all() -> None:
        await process.stop.wait()
        raise _StoppedError

    try:
        async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as group:
            group.create_task(stop_all())
            group.create_task(_as_coroutine(collecting or collect_garbage))
            for task in tasks:
                group.create_task(_as_coroutine(task))
            if probes is not None:
                outer.create_task(_as_coroutine(probes))
    except* _StoppedError:
        process.telemetry.info("stopped", process=process.name)


class _StoppedError(Exception):
    """The process was requested to stop."""


async def collect_garbage() -> None:
    """Run a full collection every FULL_COLLECTION_PAUSE_MIN_SECONDS or less often, until cancelled.

    Start it when everything is open and nothing is served yet: existing objects are never scanned again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    pause_seconds = FULL_COLLECTION_PAUSE_MIN_SECONDS
    while True:
        await asyncio.sleep(pause_seconds)
        began = perf_counter()
        gc.collect()
        pause_seconds = max(FULL_COLLECTION_PAUSE_MIN_SECONDS, FULL_COLLECTION_PAUSE_TIMES * (perf_counter() - began))


async def _as_coroutine(task: Callable[[], Awaitable[None]]) -> None:
    await task()


async def _run(name: str, main: ProcessMain, settings: Settings, throttle: LogThrottle) -> int:
    process = Process(
        name=name, settings=settings, telemetry=ProcessTelemetry(Metrics(), get_logger()), stop=asyncio.Event()
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stop.set)
    process.telemetry.info("started", process=name)
    try:
        async with (
            throttling(throttle),
            open_alerts(settings, telemetry=process.telemetry, process_name=name),
        ):
            await main(process)
    except Exception as error:
        exit_code = _log_failure(process, error)
        if not exit_code:
            raise
        return exit_code
    return 0


def _log_failure(process: Process, error: Exception) -> int:
    """Log in a sentence why the process ends and return its exit code; 0 when only a traceback could explain it."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # From a task group, whose message adds no information.
    if isinstance(error, SettingsError):
        process.telemetry.error("cannot_start", process=process.name, error=str(error))
        return EXIT_BAD_SETTINGS
    if isinstance(error, FillwireError):
        process.telemetry.error("process_failed", process=process.name, error=str(error))
        return EXIT_FAILED
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - there is none for Windows

    return uvloop.new_event_loop
