"""Columns as the texts of PostgreSQL arrays, which a statement casts and unnests.

Encoded by the driver, element by element, the columns of a batch would cost more than the rest of recording it. A
column with only NULLs is sent empty: `unnest` pads columns that are shorter than the others.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson


def plain_array(column: Sequence[object]) -> str:
    """Return a column whose values need no quotes: numbers, ids, our own names."""
    if not column:
        return "{}"
    first = column[0]
    # As in most columns: what a fill does not touch. Equal decimals may be written differently.
    if not isinstance(first, Decimal) and column.count(first) == len(column):
        return "{}" if first is None else "{" + ",".join([str(first)] * len(column)) + "}"
    # Searched in the texts: comparing a Decimal with None is slow.
    texts = list(map(str, column))
    if "None" in texts:
        texts = ["NULL" if value is None else str(value) for value in column]
    return "{" + ",".join(texts) + "}"


def moment_array(column: Sequence[datetime | None]) -> str:
    """Return a column of times. JSON writes them in PostgreSQL's format, at a tenth of the cost of `str`."""
    if column.count(None) == len(column):
        return "{}"
    return "{" + orjson.dumps(column).decode()[1:-1] + "}"


def text_array(column: Sequence[Any]) -> str:
    """Return a column of external texts with any content."""
    if column.count(None) == len(column):
        return "{}"
    if None not in column:
        joined = '","'.join(column)
        if "\\" not in joined and joined.count('"') == 2 * (len(column) - 1):
            return '{"' + joined + '"}'
    return "{" + ",".join(map(_quoted, column)) + "}"


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
