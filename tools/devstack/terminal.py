"""The output of `./dev up`: the lines of all programs, each prefixed with the program's name."""

import os
import signal
import sys
from itertools import cycle
from typing import TextIO

NAME_WIDTH = 11
COLORS = (
    "36",
    "33",
    "32",
    "35",
    "34",
    "96",
    "93",
    "92",
    "95",
    "94",
)  # ANSI foregrounds that read well on dark and light.
OWN_NAME = "dev"


def has_colors(out: TextIO) -> bool:
    """Return whether to print colors: on a terminal, unless NO_COLOR is set."""
    return out.isatty() and not os.environ.get("NO_COLOR")


class Terminal:
    """Standard output, with colors on a terminal unless NO_COLOR is set."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._colored = has_colors(self._out)
        self._next_color = cycle(COLORS)
        self._colors: dict[str, str] = {}

    def write(self, name: str, line: str) -> None:
        """Write one line of the program `name`."""
        self._print(f"{self._prefix(name)} {line}")

    def report(self, line: str) -> None:
        """Write one line of `./dev up` itself."""
        self.write(OWN_NAME, line)

    def show(self, text: str) -> None:
        """Write a text without a prefix, between empty lines."""
        self._print(f"\n{text}\n")

    def _prefix(self, name: str) -> str:
        padded = f"{name:<{NAME_WIDTH}} |"
        if not self._colored:
            return padded
        color = self._colors.setdefault(name, next(self._next_color))
        return f"\033[{color}m{padded}\033[0m"

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            # The reader has gone (`./dev up | head`): discard the output, and stop everything in order.
            self._out = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # Used until the process ends.
            sys.stdout = self._out
            signal.raise_signal(signal.SIGTERM)
