"""Live updates: each change exactly once, in order, as yielded by the feed."""

from collections.abc import AsyncIterator
from uuid import UUID

import strawberry

from domain.model.errors import OrderNotFoundError
from graph.auth.bearer import Scope
from graph.context import Context, Info
from graph.engine.delivery import Delivery
from graph.errors import bad_input
from graph.schema.cursors import read_stream_cursor
from graph.schema.fields import described
from graph.schema.global_ids import read_order_id
from graph.schema.types.inputs import given, given_account
from graph.schema.types.updates import OrderStreamUpdate, OrderUpdate, order_update_from, stream_update_from


@strawberry.type
class Subscription:
    @described(
        (
            "The order's state, then every later change exactly once, in version order. With afterVersion the missed "
            "changes come instead of the snapshot. Completes after a final status. A silent reconnect that repeats "
            "the first variables is always safe."
        ),
        kind=strawberry.subscription,
    )
    async def order_status(
        self, info: Info, order_id: strawberry.ID, after_version: int | None = strawberry.UNSET
    ) -> AsyncIterator[OrderUpdate]:
        bearer = info.context.bearer
        bearer.require(Scope.READ)
        key, version = read_order_id(order_id), given(after_version)
        if key is None:
            raise OrderNotFoundError
        if version is not None and version < 0:
            raise bad_input("afterVersion must not be negative.")
        owner = await _owner(key, info.context)
        changes = info.context.services.feed.order(key, account_id=owner, after_version=version)
        return await Delivery(changes, order_update_from).open()

    @described(
        (
            "Every change of every order of the viewer's account, exactly once, in cursor order. Without after: from "
            "now on. With after: everything since."
        ),
        kind=strawberry.subscription,
    )
    async def order_updates(
        self,
        info: Info,
        after: str | None = strawberry.UNSET,
        account_id: strawberry.ID | None = strawberry.UNSET,
    ) -> AsyncIterator[OrderStreamUpdate]:
        bearer = info.context.bearer
        bearer.require(Scope.READ)
        account = bearer.visible_account(given_account(account_id))
        sequence = read_stream_cursor(after) if after else None
        changes = info.context.services.feed.account(account, after=sequence)
        return await Delivery(changes, stream_update_from).open()


async def _owner(order_id: UUID, context: Context) -> str | None:
    """Return the only possible account of the order; None where every account is visible, and the feed finds it.

    Raises OrderNotFoundError for an order of none of a token's accounts.
    """
    accounts = context.bearer.visible_accounts
    if accounts is None or len(accounts) == 1:
        return None if accounts is None else accounts[0]
    found = await context.services.reader.order(order_id, account_ids=accounts)
    if found is None:
        raise OrderNotFoundError
    return found.account_id
