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
        """Return the instrument, or None."""

    async def find_many(self, isins: Collection[str]) -> Mapping[str, Instrument]:
        """Those that exist, by ISIN."""

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[Instrument]:
        """Return a page by ISIN ascending; `search` matches the start of ISIN, symbol or name, ignoring case."""

    async def save(self, instruments: Sequence[Instrument]) -> int:
        """Insert or replace by ISIN; return how many differ from the stored ones."""


class AccountReader(Protocol):
    """The accounts. Every method raises UnavailableError when the database does not answer."""

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[str]:
        """Return a page of the ids that have ever placed an order, ascending by code point; `search` is the start
        of an id.
        """

    async def known(self, account_ids: Collection[str]) -> Collection[str]:
        """Those under which something is stored: an order, an open halt, or limits."""

    async def last_order_at(self, account_id: str) -> datetime | None:
        """When the account's newest order was stored; None before the first."""


class OrderReader(Protocol):
    """Reads for people. Each call returns the orders of `account_ids`; None means every account (operators only)."""

    async def order(self, order_id: UUID, *, account_ids: VisibleAccounts) -> OrderSnapshot | None:
        """Return the current order."""

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, OrderSnapshot]:
        """Those that exist and are visible."""

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        """Return the account's order with that client order id."""

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the API's name
    ) -> Page[OrderSnapshot]:
        """Return a keyset page of orders."""

    async def executions(self, order_id: UUID, request: PageRequest[UUID], *, version: int) -> Page[ExecutionView]:
        """Return the order's executions as they stood at that version, oldest first (by id).

        Busted ones are left out, and so is what an operator booked, at any version, once the venue lists it itself.
        """

    async def executions_by_id(
        self, execution_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, ExecutionView]:
        """Those that exist and are of visible orders."""

    async def venue_orders(self, order_id: UUID) -> Sequence[VenueOrderView]:
        """Return the venue orders of the order, the newest first."""

    async def history(self, order_id: UUID, request: PageRequest[int], *, version: int) -> Page[RecordedChange]:
        """Return the order's changes up to that version, oldest first, keyed by version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPosition:
    """A current order, and the position of its account's sequence at the same time."""

    order: OrderSnapshot
    sequence: int


class ChangeLog(Protocol):
    """The accounts' sequences of changes: what a published hint missed is read here."""

    async def changes_after(
        self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
    ) -> Sequence[RecordedChange]:
        """Return the next changes in the account's sequence, optionally of one order only.

        Raises HistoryGone when the change right after `sequence` is no longer stored.
        """

    async def order_changes_after(self, order_id: UUID, version: int, *, limit: int) -> Sequence[RecordedChange]:
        """Return the order's changes after that version. Raises HistoryGone when the next one is no longer stored."""

    async def position(self, account_id: str) -> int:
        """Return the sequence of the account's newest change; 0 before the first."""

    async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """Return the same for many accounts in one query."""

    async def order_position(self, order_id: UUID, *, account_id: str | None) -> AccountPosition | None:
        """Return the order and its account's sequence, read in one statement, so that they are consistent."""
