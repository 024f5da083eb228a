"""Logs as a process writes them, in the test's own process."""

import io
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import structlog

from runtime.observability.logs import configure_logs


@contextmanager
def written_logs(log_format: str, *, secrets: Sequence[str] = ()) -> Iterator[io.StringIO]:
    """Log into the yielded text until the block ends, in the format plain or json."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, sys.unraisablehook
    written = io.StringIO()
    try:
        with redirect_stdout(written):
            configure_logs(process="api", log_format=log_format, level="INFO", secrets=secrets, gather_seconds=10)
        yield written
    finally:
        sys.excepthook, sys.unraisablehook = hooks
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


def raise_error(error: Exception) -> None:
    """Raise the error, so that it has a traceback."""
    raise error
