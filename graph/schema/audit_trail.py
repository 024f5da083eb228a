"""The operators' view of the audit trail. It needs the scope `operator:read`."""

import strawberry

from domain.model.operator_actions import ActionFilter
from graph.auth.bearer import Scope
from graph.context import Info
from graph.errors import bad_input
from graph.schema.cursors import read_action_cursor, write_action_cursor
from graph.schema.fields import described
from graph.schema.global_ids import read_order_id
from graph.schema.page_arguments import DEFAULT_FIRST, page_arguments, read_page
from graph.schema.types.connection import Connection, connect
from graph.schema.types.inputs import checked_text, given
from graph.schema.types.operator_action import OperatorAction, action_from


@strawberry.type
class AuditQuery:
    @described(
        "What operators did, the newest first: halts, limits, prices, cancels for others, revoked tokens. "
        "Operators only."
    )
    async def operator_actions(
        self,
        info: Info,
        *,
        first: int | None = DEFAULT_FIRST,
        after: str | None = strawberry.UNSET,
        last: int | None = strawberry.UNSET,
        before: str | None = strawberry.UNSET,
        account_id: strawberry.ID | None = strawberry.UNSET,
        order_id: strawberry.ID | None = strawberry.UNSET,
    ) -> Connection[OperatorAction]:
        context = info.context
        context.bearer.require(Scope.OPERATOR_READ)
        wanted = _filter(given(account_id), given(order_id))
        page = await read_page(
            page_arguments(first=first, after=after, last=last, before=before, read_cursor=read_action_cursor),
            lambda request: context.services.actions.page(request, filter=wanted),
            settings=context.services.settings,
        )
        return connect(page, node=action_from, cursor=lambda action: write_action_cursor(action.sequence))


def _filter(account_id: str | None, order_node_id: str | None) -> ActionFilter:
    order_id = None if order_node_id is None else read_order_id(order_node_id)
    if order_node_id is not None and order_id is None:
        raise bad_input("orderId must be the id of an order.")
    return ActionFilter(
        account_id=None if account_id is None else checked_text("accountId", account_id), order_id=order_id
    )
