"""Log lines: events with fields, plain on a terminal and JSON otherwise. They contain no secrets.

Lines of libraries that log through the standard library have the same form. Repeated lines during an outage are
throttled (`runtime.observability.log_throttling`).
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from domain.ports.telemetry import REQUEST_ID
from runtime.observability.log_throttling import LogThrottle
from runtime.observability.masking import SecretMask
from runtime.observability.printable import make_fields_printable, write_traceback

# Uvicorn's start messages repeat our events; its errors keep their tracebacks.
_WARNINGS_ONLY = ("uvicorn.error",)
_WARN_ABOUT_CLIENTS = ("uvicorn.error", "strawberry")
_QUIET_LIBRARIES = ("saq", "uvicorn.access", "aiohttp.access", "alembic", "websockets", "asyncio")
# It logs that a task of ours failed and was not awaited: only the traceback shows which.
_KEEPS_TRACEBACKS = "asyncio"
# SAQ logs this at every stop: our worker has waited for its jobs before, and only SAQ's own waits are cancelled.
_ROUTINE_OF_SAQ = "Some tasks did not finish within the shutdown grace period, requesting cancellation"


def configure_logs(
    *,
    process: str,
    log_format: str,
    level: str,
    secrets: Sequence[str],
    gather_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> LogThrottle:
    """Set up the process' logs on stdout. `log_format` is auto, plain or json; `secrets` are masked wherever they
    appear. Return the filter that throttles repeated events: its summaries are written while its `run` does."""
    plain = log_format == "plain" or (log_format == "auto" and sys.stdout.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _time_of_day if plain else structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        _add_request_id,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _LogHandler(sys.stdout)
    handler.setFormatter(
        _MaskingFormatter(
            secrets=secrets,
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(process, plain=plain)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _WARNINGS_ONLY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    throttle = LogThrottle(
        summary_seconds=gather_seconds,
        libraries=_QUIET_LIBRARIES,
        client_libraries=_WARN_ABOUT_CLIENTS,
        writes_each=level == "DEBUG",
        clock=clock,
    )
    handler.addFilter(_in_one_line)
    handler.addFilter(throttle)
    return throttle


def _renderer(process: str, *, plain: bool) -> list[Processor]:
    if not plain:
        return [structlog.processors.format_exc_info, _process_name(process), structlog.processors.JSONRenderer()]
    return [
        make_fields_printable,
        structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(),
            pad_event_to=0,
            pad_level=False,
            exception_formatter=write_traceback,
        ),
    ]


def log_uncaught_errors() -> None:
    """Log uncaught errors, with secrets masked: Python writes them to standard error unmasked."""
    log = get_logger()

    def crashed(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        log.critical("crashed", exc_info=error)

    def failed(arguments: threading.ExceptHookArgs) -> None:
        name = arguments.thread.name if arguments.thread is not None else None
        log.error("thread_failed", thread=name, exc_info=arguments.exc_value)

    def ignored(arguments: "sys.UnraisableHookArgs") -> None:
        log.error("error_ignored", where=arguments.err_msg, of=repr(arguments.object), exc_info=arguments.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = crashed, failed, ignored


def get_logger() -> FilteringBoundLogger:
    """Return the logger of this process."""
    logger: FilteringBoundLogger = structlog.get_logger("fillwire")
    return logger


class _MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """A formatter that masks every secret in the result, from any source."""

    def __init__(
        self, *, secrets: Sequence[str], foreign_pre_chain: list[Processor], processors: list[Processor]
    ) -> None:
        super().__init__(processors=processors, foreign_pre_chain=foreign_pre_chain)
        self._mask = SecretMask(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))


class _LogHandler(logging.StreamHandler[TextIO]):
    """A handler whose own failures do not print the line: the library's prints all its arguments, unmasked."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Write in the line's place that it is lost."""
        kind = sys.exc_info()[0]
        fields = {
            "event": "log_line_lost",
            "level": "error",
            "library": record.name,
            "error": getattr(kind, "__name__", ""),
        }
        lost = logging.LogRecord("fillwire", logging.ERROR, "", 0, fields, (), None)
        with suppress(Exception):
            self.stream.write(self.format(lost) + self.terminator)


def _in_one_line(record: logging.LogRecord) -> bool:
    """Drop the traceback of a library's line: it is about an unreachable server."""
    if not record.name.startswith(_QUIET_LIBRARIES) or record.name.startswith(_KEEPS_TRACEBACKS):
        return True
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r}", ()
        record.exc_info = None
    return record.msg != _ROUTINE_OF_SAQ


def _add_request_id(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Add the id of the request that is being answered, if any."""
    request_id = REQUEST_ID.get()
    if request_id is not None:
        event["request_id"] = request_id
    return event


def _time_of_day(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Add the time of day in UTC: on a terminal the date is known, and the line stays short."""
    event["timestamp"] = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
    return event


def _process_name(process: str) -> Processor:
    def add(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add
