"""What happened, as lines of JSON in the order in which it happened: every request, answer, message and fault."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import orjson


class History:
    """Writes one line for each event; `at` is in seconds since the run began."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._began = time.monotonic()

    def now(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def size_bytes(self) -> int:
        """How much was written so far."""
        return self._file.tell()

    def note(self, kind: str, **fields: object) -> None:
        """Write one event."""
        line = {"at": round(self.now(), 4), "kind": kind, **fields}
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


@contextmanager
def open_history(path: Path) -> Iterator[History]:
    """Open a history in that file, which is overwritten."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        yield History(file)
