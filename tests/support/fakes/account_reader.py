"""Accounts over the rows of the order store in memory."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from domain.model.order_query import Page, PageRequest
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.paging import cut


@dataclass(slots=True)
class MemoryAccountReader:
    """AccountReader."""

    store: MemoryOrderStore

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[str]:
        self.store.require_database()
        found = sorted(one for one in self._accounts() if one.startswith(search or ""))
        return cut(found, request, key=str)

    async def known(self, account_ids: Collection[str]) -> Collection[str]:
        self.store.require_database()
        halted = {halt.account_id for halt in await self.store.halts.open_halts()}
        return {one for one in account_ids if one in self._accounts() | halted | set(self.store.book.stored)}

    async def last_order_at(self, account_id: str) -> datetime | None:
        self.store.require_database()
        orders = [row.order for row in self.store.rows.values() if row.order.account_id == account_id]
        return max((order.created_at for order in orders), default=None)

    def _accounts(self) -> set[str]:
        return {row.order.account_id for row in self.store.rows.values()}
