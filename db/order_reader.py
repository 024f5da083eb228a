"""Reading orders, executions and histories for people."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import Integer, literal

from db.change_rows import changes
from db.database import Database
from db.execution_rows import BY_EXECUTION_ID, execution_at, executions_at
from db.keyset import Keyset, check_limit, read_page
from db.look_ups import batched_look_ups
from db.order_pages import orders_like
from db.order_rows import ORDER_COLUMN_NAMES, order_of
from db.snapshot_rows import change_of, execution_view_of, shown_column_names, snapshot_of
from db.tables import order_changes
from domain.model.accounts import VisibleAccounts, is_visible
from domain.model.changes import ExecutionView, OrderSnapshot, RecordedChange, VenueOrderView, venue_orders_of
from domain.model.order_query import OrderFilter, OrderKey, OrderSort, Page, PageRequest
from domain.ports.readers import OrderReader
from domain.services.batcher import Batcher

_ORDERS = f"SELECT {shown_column_names()} FROM orders AS o"  # noqa: S608 - our own columns
BY_ID = f"{_ORDERS} WHERE o.id = ANY($1::uuid[]) AND ($2::text[] IS NULL OR o.account_id = ANY($2))"
BY_ID_AND_ACCOUNT = f"""
{_ORDERS}
JOIN unnest($1::uuid[], $2::text[]) AS k (id, account_id)
    ON o.id = k.id AND (k.account_id IS NULL OR o.account_id = k.account_id)
"""
BY_CLIENT_ORDER_ID = f"""
{_ORDERS}
JOIN unnest($1::text[], $2::text[]) AS k (account_id, client_order_id)
    ON o.account_id = k.account_id AND o.client_order_id = k.client_order_id
"""
NEWEST_OF_ACCOUNT = f"""
SELECT {shown_column_names(account_id="$1")} FROM orders AS o
WHERE o.account_id = $1
ORDER BY o.created_at DESC, o.id DESC
LIMIT $2
"""  # noqa: S608 - as above
EXECUTIONS_BY_ID = """
SELECT e.* FROM executions AS e
WHERE e.id = ANY($1::uuid[]) AND ($2::text[] IS NULL OR e.account_id = ANY($2))
"""
VENUE_ORDERS = f"SELECT {ORDER_COLUMN_NAMES} FROM orders AS o WHERE o.id = $1"  # noqa: S608 - our own columns
_ANY = (None,)
_CHANGES_BY_VERSION: Keyset[int] = Keyset(
    columns=(order_changes.c.version,), values=lambda key: (literal(key, Integer),)
)


class PostgresOrderReader(OrderReader):
    """Single orders, which are read most, by SQL; the rest by SQLAlchemy Core. Every read is one statement except
    pages, which also read beyond their keys.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        # Single orders are read most, and every order that is denied on its terms is looked for: those that are asked
        # for at the same time share a read.
        self._reading: Batcher[tuple[UUID, VisibleAccounts], OrderSnapshot | None] = batched_look_ups(
            self._read, missing=None
        )
        self._looking: Batcher[tuple[str, str], OrderSnapshot | None] = batched_look_ups(self._look_up, missing=None)

    async def order(self, order_id: UUID, *, account_ids: VisibleAccounts) -> OrderSnapshot | None:
        return await self._reading.submit((order_id, account_ids))

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, OrderSnapshot]:
        rows = await self.database.fetch(BY_ID, list(order_ids), account_ids)
        return {row["id"]: snapshot_of(row) for row in rows}

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        return await self._looking.submit((account_id, client_order_id))

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the port's parameter name
    ) -> Page[OrderSnapshot]:
        if sort is OrderSort.CREATED_DESC and _is_start_of_all(request, filter):
            (account_id,) = filter.account_ids or ()
            return await self._newest(account_id, limit=request.limit)
        rows, keyset = orders_like(filter, sort=sort)
        return await read_page(self.database, rows, request, keyset=keyset, item_of=snapshot_of)

    async def executions(self, order_id: UUID, request: PageRequest[UUID], *, version: int) -> Page[ExecutionView]:
        rows = executions_at(order_id, version=version)
        return await read_page(self.database, rows, request, keyset=BY_EXECUTION_ID, item_of=execution_at)

    async def executions_by_id(
        self, execution_ids: Collection[UUID], *, account_ids: VisibleAccounts
    ) -> Mapping[UUID, ExecutionView]:
        rows = await self.database.fetch(EXECUTIONS_BY_ID, list(execution_ids), account_ids)
        return {row["id"]: execution_view_of(row) for row in rows}

    async def venue_orders(self, order_id: UUID) -> Sequence[VenueOrderView]:
        rows = await self.database.fetch(VENUE_ORDERS, order_id)
        return [one for row in rows for one in venue_orders_of(order_of(row))]

    async def history(self, order_id: UUID, request: PageRequest[int], *, version: int) -> Page[RecordedChange]:
        rows = changes().where(order_changes.c.order_id == order_id, order_changes.c.version <= version)
        return await read_page(self.database, rows, request, keyset=_CHANGES_BY_VERSION, item_of=change_of)

    async def _newest(self, account_id: str, *, limit: int) -> Page[OrderSnapshot]:
        """Return the first page of front ends, without building a statement: a tenth of its cost."""
        check_limit(limit)
        rows = await self.database.fetch_queued(NEWEST_OF_ACCOUNT, account_id, limit + 1)
        return Page(rows=[snapshot_of(row) for row in rows[:limit]], has_next=len(rows) > limit, has_previous=False)

    async def _read(
        self, keys: Collection[tuple[UUID, VisibleAccounts]]
    ) -> Mapping[tuple[UUID, VisibleAccounts], OrderSnapshot | None]:
        wanted = {(order_id, one) for order_id, visible in keys for one in (_ANY if visible is None else visible)}
        rows = await self.database.fetch(
            BY_ID_AND_ACCOUNT, [order_id for order_id, _ in wanted], [account_id for _, account_id in wanted]
        )
        found = {row["id"]: snapshot_of(row) for row in rows}
        return {key: _visible_order(found.get(key[0]), key[1]) for key in keys}

    async def _look_up(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], OrderSnapshot]:
        rows = await self.database.fetch(
            BY_CLIENT_ORDER_ID, [account_id for account_id, _ in keys], [name for _, name in keys]
        )
        return {(row["account_id"], row["client_order_id"]): snapshot_of(row) for row in rows}


def _visible_order(order: OrderSnapshot | None, account_ids: VisibleAccounts) -> OrderSnapshot | None:
    """Return the order, if the caller may see it: another caller of the same read may have requested it as well."""
    return order if order is not None and is_visible(order.account_id, account_ids) else None


def _is_start_of_all(request: PageRequest[OrderKey], asked: OrderFilter) -> bool:
    """Return whether the first rows are requested, of all orders of one account."""
    is_start = request.after is None and request.before is None and not request.backwards
    is_of_one = asked.account_ids is not None and len(asked.account_ids) == 1
    return is_start and is_of_one and asked == OrderFilter(account_ids=asked.account_ids)
