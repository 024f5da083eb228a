"""Keyset pages over lists, as the ports promise them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from domain.model.order_query import PAGE_MAX_ROWS, Page, PageRequest

Row = TypeVar("Row")
Key = TypeVar("Key")


def cut(
    rows: Sequence[Row], request: PageRequest[Key], *, key: Callable[[Row | Key], Any], descending: bool = False
) -> Page[Row]:
    """Return the page of rows that are already in the sort's order; `key` makes rows and the request's keys
    comparable.
    """
    if not 1 <= request.limit <= PAGE_MAX_ROWS:
        raise ValueError(f"a page has 1 to {PAGE_MAX_ROWS} rows")

    def precedes(one: Row | Key, other: Row | Key) -> bool:
        return bool(key(one) > key(other) if descending else key(one) < key(other))

    start, end = 0, len(rows)
    if request.after is not None:
        after = request.after
        start = sum(not precedes(after, row) for row in rows)
    if request.before is not None:
        before = request.before
        end = sum(precedes(row, before) for row in rows)
    first = max(start, end - request.limit) if request.backwards else start
    last = end if request.backwards else min(end, start + request.limit)
    return Page(rows=rows[first:last], has_next=last < len(rows), has_previous=first > 0)
