"""Columns as the texts of PostgreSQL arrays, which a statement casts and unnests.

The driver encodes element by element, and tests each whether it is an array itself: three times the cost.
"""

from collections.abc import Sequence
from datetime import datetime

import orjson


def plain_array(column: Sequence[object]) -> str:
    """Return a column whose values need no quotes: numbers, ids, names of ours."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in column]) + "}"


def moment_array(column: Sequence[datetime | None]) -> str:
    """Return a column of moments. JSON writes them, and null, as PostgreSQL reads them."""
    return "{" + orjson.dumps(column).decode()[1:-1] + "}"


def text_array(column: Sequence[str | None]) -> str:
    """Return a column of others' texts, which may be anything."""
    return "{" + ",".join(map(_quoted, column)) + "}"


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
