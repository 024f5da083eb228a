"""Keyset pages and filters over lists, as the reader port promises them."""

from collections.abc import Sequence
from typing import TypeVar

from domain.changes import OrderSnapshot
from domain.reading import OrderFilter, Page, PageRequest

Row = TypeVar("Row")
Key = TypeVar("Key")


def cut(rows: Sequence[Row], request: PageRequest[Key], keys: Sequence[Key]) -> Page[Row]:
    """The page of rows that are already in the sort's order."""
    start = keys.index(request.after) + 1 if request.after is not None else 0
    end = keys.index(request.before) if request.before is not None else len(rows)
    first, last = (
        (max(start, end - request.limit), end) if request.backwards else (start, min(end, start + request.limit))
    )
    return Page(rows=rows[first:last], has_next=last < len(rows), has_previous=first > 0)


def matches(order: OrderSnapshot, asked: OrderFilter) -> bool:
    """Whether the filter shows the order."""
    return all(
        (
            asked.account_id in {None, order.account_id},
            asked.statuses is None or order.status in asked.statuses,
            asked.is_final is None or order.status.is_final is asked.is_final,
            asked.isins is None or order.terms.isin in asked.isins,
            asked.side is None or order.terms.side is asked.side,
            asked.created_from is None or order.created_at >= asked.created_from,
            asked.created_before is None or order.created_at < asked.created_before,
            asked.updated_from is None or order.updated_at >= asked.updated_from,
        )
    )
