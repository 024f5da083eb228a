"""Log lines: events with fields, plain on a terminal and JSON otherwise. No secret ever reaches them.

Libraries that log through the standard library come out in the same form. What repeats itself while something is down
is gathered (`runtime.observability.log_throttling`).
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from runtime.observability.log_throttling import Repeats

MASK = "***"

# Uvicorn's own greetings repeat what our events say; its errors keep their tracebacks.
_WARNINGS_ONLY = ("uvicorn.error",)
_WARN_OF_STRANGERS = ("uvicorn.error", "strawberry")
_QUIET_LIBRARIES = ("saq", "uvicorn.access", "aiohttp.access", "alembic", "websockets", "asyncio")
# What it says is that a task of ours has failed, and nobody looked: only the traceback shows which.
_KEEPS_TRACEBACKS = "asyncio"
# SAQ says this at every stop: our worker has waited for its jobs by then, and what is cancelled are SAQ's own waits.
_SAYS_NOTHING = "Some tasks did not finish within the shutdown grace period, requesting cancellation"


def configure_logs(
    *,
    process: str,
    log_format: str,
    level: str,
    secrets: Sequence[str],
    gather_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Repeats:
    """Set up the process' logs on stdout. `log_format` is auto, plain or json; `secrets` are masked wherever they
    appear. Gives what gathers repeats: it says them while its `run` does."""
    plain = log_format == "plain" or (log_format == "auto" and sys.stdout.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _time_of_day if plain else structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    renderer: list[Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stdout.isatty(),
                pad_event_to=0,
                pad_level=False,
                # Where rich is installed the default shows every frame's locals: tokens among them, and a second of
                # CPU for each traceback (measured: forty canceled requests held a stopping API up for forty seconds).
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
        if plain
        else [structlog.processors.format_exc_info, _process_name(process), structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        _MaskingFormatter(
            secrets=secrets,
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _WARNINGS_ONLY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    repeats = Repeats(
        gather_seconds=gather_seconds,
        libraries=_QUIET_LIBRARIES,
        warning_libraries=_WARN_OF_STRANGERS,
        shows_each=level == "DEBUG",
        clock=clock,
    )
    handler.addFilter(_in_one_line)
    handler.addFilter(repeats)
    return repeats


def get_logger() -> FilteringBoundLogger:
    """The logger of this process."""
    logger: FilteringBoundLogger = structlog.get_logger("fillwire")
    return logger


class _MaskingFormatter(structlog.stdlib.ProcessorFormatter):
    """Formats a record and masks every secret in the result, wherever it came from."""

    def __init__(
        self, *, secrets: Sequence[str], foreign_pre_chain: list[Processor], processors: list[Processor]
    ) -> None:
        super().__init__(processors=processors, foreign_pre_chain=foreign_pre_chain)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def _in_one_line(record: logging.LogRecord) -> bool:
    """Say what a library complains about without its traceback: it is about a server that is away."""
    if not record.name.startswith(_QUIET_LIBRARIES) or record.name.startswith(_KEEPS_TRACEBACKS):
        return True
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]!r}", ()
        record.exc_info = None
    return record.msg != _SAYS_NOTHING


def _time_of_day(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """For a person who watches: the date is known, and the line stays short. UTC, as everywhere."""
    event["timestamp"] = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
    return event


def _process_name(process: str) -> Processor:
    def add(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add
