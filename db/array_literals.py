"""Columns as the texts of PostgreSQL's arrays, which a statement casts and takes apart.

Encoded by the driver, element by element, the columns of a batch would cost more than all the rest of recording it.
What holds nothing but NULL is sent empty: `unnest` fills up the columns that are shorter than the others.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson


def plain_array(column: Sequence[object]) -> str:
    """A column whose values need no quotes: numbers, ids, names of ours."""
    if not column:
        return "{}"
    first = column[0]
    # As in most columns: what a fill does not touch. Equal decimals may be written differently.
    if not isinstance(first, Decimal) and column.count(first) == len(column):
        return "{}" if first is None else "{" + ",".join([str(first)] * len(column)) + "}"
    # Looked for in the texts: whether a decimal is None it finds out slowly.
    texts = list(map(str, column))
    if "None" in texts:
        texts = ["NULL" if value is None else str(value) for value in column]
    return "{" + ",".join(texts) + "}"


def moment_array(column: Sequence[datetime | None]) -> str:
    """A column of moments. JSON writes them as PostgreSQL reads them, at a tenth of what `str` takes."""
    if column.count(None) == len(column):
        return "{}"
    return "{" + orjson.dumps(column).decode()[1:-1] + "}"


def text_array(column: Sequence[Any]) -> str:
    """A column of others' texts, which may be anything."""
    if column.count(None) == len(column):
        return "{}"
    if None not in column:
        joined = '","'.join(column)
        if "\\" not in joined and joined.count('"') == 2 * (len(column) - 1):
            return '{"' + joined + '"}'
    return "{" + ",".join(map(_quoted, column)) + "}"


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
