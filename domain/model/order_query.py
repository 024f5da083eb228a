"""Queries of stored orders: filters, sorts and keyset pages.

A page is cut by the key of its last row, never by an offset: rows added while paging neither repeat nor hide others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from domain.model.accounts import VisibleAccounts
from domain.model.order import OrderStatus
from domain.model.values import Side

PAGE_MAX_ROWS = 100

Row = TypeVar("Row")
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest(Generic[Key]):
    """At most `limit` rows (1 to PAGE_MAX_ROWS) after one key and before another, in the sort's order.

    `backwards` selects the last rows of that range instead of the first; they are still in the sort's order.
    """

    limit: int
    after: Key | None = None
    before: Key | None = None
    backwards: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Row]):
    """Rows in the sort's order, and whether there are more before and after them."""

    rows: Sequence[Row]
    has_next: bool
    has_previous: bool


class OrderSort(StrEnum):
    """How orders are sorted; ties are broken by id in the same direction."""

    CREATED_DESC = "CREATED_DESC"
    CREATED_ASC = "CREATED_ASC"
    UPDATED_DESC = "UPDATED_DESC"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKey:
    """The position of an order in a sort: the sorted time, then the id."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """The filter of orders. `account_ids` None means every account (operators only); times are aware UTC."""

    account_ids: VisibleAccounts
    statuses: frozenset[OrderStatus] | None = None
    is_final: bool | None = None
    isins: frozenset[str] | None = None
    side: Side | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    updated_from: datetime | None = None
