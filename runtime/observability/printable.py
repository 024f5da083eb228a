"""Text from outside on a line of a plain log: it must neither begin a line of the log nor control the terminal.

Clients and the venue choose texts that libraries log. JSON escapes them itself.
"""

from io import StringIO
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

INDENT = "    "
_LEFT_TO_RENDERER = ("exc_info", "exception")


def printable(text: str) -> str:
    """Return the text with every control, formatting and line character escaped, as repr() writes it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def make_fields_printable(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Escape the event, its fields and their names; a value that is not text is converted by repr()."""
    return {
        printable(name): value if name in _LEFT_TO_RENDERER else _printable_value(value)
        for name, value in event.items()
    }


def write_traceback(target: TextIO, exc_info: ExcInfo) -> None:
    """Write the traceback with all its lines indented and escaped: an exception's text may have lines, too.

    Where rich is installed structlog's default prints the locals of every frame: tokens, and a second of CPU for each
    traceback (measured: forty canceled requests held a stopping API up for forty seconds).
    """
    buffer = StringIO()
    structlog.dev.plain_traceback(buffer, exc_info)
    lines = buffer.getvalue().removeprefix("\n").split("\n")
    target.writelines(f"\n{INDENT}{printable(line)}" for line in lines)


def _printable_value(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    shown = repr(value)
    return value if shown.isprintable() else printable(shown)
