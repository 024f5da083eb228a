"""What people read: orders, executions, instruments, and the accounts' sequences of changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.model.accounts import VisibleAccounts
from domain.model.changes import ExecutionView, OrderSnapshot, RecordedChange, VenueOrderView
from domain.model.order_query import OrderFilter, OrderKey, OrderSort, Page, PageRequest
from domain.model.values import Instrument


class InstrumentCatalog(Protocol):
    """The instruments that can be traded."""

    async def find(self, isin: str) -> Instrument | None:
        """The instrument, or None."""

    async def find_many(self, isins: Collection[str]) -> Mapping[str, Instrument]:
        """Those that exist, by ISIN."""

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[Instrument]:
        """By ISIN ascending; `search` matches the start of ISIN, symbol or name, whatever the case."""

    async def save(self, instruments: Sequence[Instrument]) -> int:
        """Insert or replace by ISIN; gives how many differ from what was stored."""


class AccountReader(Protocol):
    """The accounts. Every method raises UnavailableError when the database does not answer."""

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[str]:
        """The ids of those that have ever placed an order, ascending by code point; `search` is the start of an id."""

    async def known(self, account_ids: Collection[str]) -> Collection[str]:
        """Those under which something is stored: an order, an open halt, or limits."""

    async def last_order_at(self, account_id: str) -> datetime | None:
        """When the account's newest order was stored; None before the first."""


class OrderReader(Protocol):
    """Reading for people. Each call sees the orders of `account_ids`; None sees every account (operators only)."""

    async def order(self, order_id: UUID, *, account_ids: VisibleAccounts) -> OrderSnapshot | None:
        """The order as it stands."""

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, OrderSnapshot]:
        """Those that exist and are visible."""

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        """The account's order with that client order id."""

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the API's word
    ) -> Page[OrderSnapshot]:
        """A keyset page of orders."""

    async def executions(self, order_id: UUID, request: PageRequest[UUID], *, version: int) -> Page[ExecutionView]:
        """The order's executions as they stood at that version, oldest first (by id); busted ones are left out, and
        so is what an operator booked, at any version, once the venue lists it itself."""

    async def executions_by_id(
        self, execution_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, ExecutionView]:
        """Those that exist and are of visible orders."""

    async def venue_orders(self, order_id: UUID) -> Sequence[VenueOrderView]:
        """Return what the venue holds of the order, the newest first."""

    async def history(self, order_id: UUID, request: PageRequest[int], *, version: int) -> Page[RecordedChange]:
        """The order's changes up to that version, oldest first, keyed by version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPosition:
    """An order as it stands, and the place in its account's sequence at that very moment."""

    order: OrderSnapshot
    sequence: int


class ChangeLog(Protocol):
    """The accounts' sequences of changes: what a published hint missed is read here."""

    async def changes_after(
        self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
    ) -> Sequence[RecordedChange]:
        """The next changes in the account's sequence, optionally of one order only.

        Raises HistoryGone when the change right behind `sequence` is no longer kept.
        """

    async def order_changes_after(self, order_id: UUID, version: int, *, limit: int) -> Sequence[RecordedChange]:
        """The order's changes after that version. Raises HistoryGone when the next one is no longer kept."""

    async def position(self, account_id: str) -> int:
        """The sequence of the account's newest change; 0 before the first."""

    async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """The same for many accounts in one query."""

    async def order_position(self, order_id: UUID, *, account_id: str | None) -> AccountPosition | None:
        """The order and its account's sequence, read in one statement, so that they belong together."""
