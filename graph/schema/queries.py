"""Reading. Every call carries the viewer's account, so another account's order reads as none."""

from functools import partial

import strawberry

from domain.model import order_query as reading
from domain.model.changes import OrderSnapshot
from domain.model.values import is_client_order_id
from graph.auth.bearer import Scope
from graph.context import Context, Info
from graph.errors import ClientError
from graph.schema.cursors import (
    read_instrument_cursor,
    read_order_cursor,
    write_instrument_cursor,
    write_order_cursor,
)
from graph.schema.enums import OrderSort
from graph.schema.fields import described
from graph.schema.global_ids import read_order_id
from graph.schema.node_lookup import find_nodes
from graph.schema.page_arguments import DEFAULT_FIRST, page_arguments, read_page
from graph.schema.scalars import GivenIsin
from graph.schema.types.connection import Connection, connect
from graph.schema.types.inputs import OrderFilter, checked_text, given, given_account
from graph.schema.types.instrument import Instrument, instrument_from
from graph.schema.types.node import Node
from graph.schema.types.order import Order, order_from
from graph.schema.types.viewer import Viewer, viewer_from


@strawberry.type
class Query:
    @strawberry.field
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002 - the contract's name
        info.context.bearer.require(Scope.READ)
        return (await find_nodes(info.context, [id]))[0]

    @strawberry.field
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        info.context.bearer.require(Scope.READ)
        limit = info.context.services.settings.page_max_rows
        if len(ids) > limit:
            raise ClientError(code="PAGE_TOO_LARGE", message=f"Ask for at most {limit} ids at a time.")
        return await find_nodes(info.context, ids)

    @strawberry.field
    def viewer(self, info: Info) -> Viewer:
        return viewer_from(info.context.bearer)

    @described("Null when it does not exist or belongs to somebody else; the two cannot be told apart.")
    async def order(self, info: Info, id: strawberry.ID) -> Order | None:  # noqa: A002 - the contract's name
        info.context.bearer.require(Scope.READ)
        return await _find_order(info.context, id)

    @strawberry.field
    async def order_by_client_order_id(
        self, info: Info, client_order_id: str, account_id: strawberry.ID | None = strawberry.UNSET
    ) -> Order | None:
        context = info.context
        context.bearer.require(Scope.READ)
        account = context.bearer.visible_account(given_account(account_id))
        if not is_client_order_id(client_order_id):
            return None
        found = await context.services.reader.by_client_order_id(client_order_id, account_id=account)
        return None if found is None else order_from(found)

    @described("Keyset pages: rows that arrive while paging neither repeat nor hide others. At most 100 a page.")
    async def orders(
        self,
        info: Info,
        *,
        first: int | None = strawberry.UNSET,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
        filter: OrderFilter | None = strawberry.UNSET,  # noqa: A002 - the contract's name
        sort: OrderSort | None = OrderSort.CREATED_DESC,
    ) -> Connection[Order]:
        context = info.context
        context.bearer.require(Scope.READ)
        chosen_sort = sort or OrderSort.CREATED_DESC
        chosen_filter = _filter_from(filter or OrderFilter(), context)
        arguments = page_arguments(
            first=first,
            after=after,
            last=last,
            before=before,
            read_cursor=partial(read_order_cursor, sort=chosen_sort),
            default_first=None,
        )
        page = await read_page(
            arguments,
            lambda request: context.services.reader.page(request, sort=chosen_sort, filter=chosen_filter),
            settings=context.services.settings,
        )

        def cursor(order: OrderSnapshot) -> str:
            return write_order_cursor(order, chosen_sort)

        return connect(page, node=order_from, cursor=cursor)

    @strawberry.field
    async def instrument(self, info: Info, isin: GivenIsin) -> Instrument | None:
        info.context.bearer.require(Scope.READ)
        found = await info.context.services.catalog.find(isin.checked())
        return None if found is None else instrument_from(found)

    @described("Search is by the start of ISIN, symbol or name.")
    async def instruments(
        self,
        info: Info,
        *,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
        search: str | None = strawberry.UNSET,
    ) -> Connection[Instrument]:
        context = info.context
        context.bearer.require(Scope.READ)
        text = checked_text("search", search) if search else None
        arguments = page_arguments(
            first=first, after=after, last=last, before=before, read_cursor=read_instrument_cursor
        )
        page = await read_page(
            arguments,
            lambda request: context.services.catalog.page(request, search=text),
            settings=context.services.settings,
        )
        return connect(page, node=instrument_from, cursor=lambda row: write_instrument_cursor(row.isin))


async def _find_order(context: Context, node_id: str) -> Order | None:
    order_id = read_order_id(node_id)
    if order_id is None:
        return None
    found = await context.services.reader.order(order_id, account_ids=context.bearer.visible_accounts)
    return None if found is None else order_from(found)


def _filter_from(asked: OrderFilter, context: Context) -> reading.OrderFilter:
    account_id, bearer = given_account(asked.account_id), context.bearer
    statuses, isins = given(asked.statuses), given(asked.isins)
    return reading.OrderFilter(
        account_ids=bearer.visible_accounts if account_id is None else (bearer.visible_account(account_id),),
        statuses=None if statuses is None else frozenset(statuses),
        is_final=given(asked.is_final),
        isins=None if isins is None else frozenset(isin.checked() for isin in isins),
        side=given(asked.side),
        created_from=given(asked.created_from),
        created_before=given(asked.created_before),
        updated_from=given(asked.updated_from),
    )
