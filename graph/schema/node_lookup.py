"""Look-up of nodes of any kind by their ids. A malformed, unknown or invisible one is not found."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from graph.auth.bearer import Scope
from graph.context import Context
from graph.schema.global_ids import (
    ACCOUNT,
    ACTION,
    EXECUTION,
    HALT,
    INSTRUMENT,
    ORDER,
    kind_of,
    read_account_id,
    read_action_id,
    read_execution_id,
    read_halt_id,
    read_isin_of,
    read_order_id,
)
from graph.schema.types.account import account_from
from graph.schema.types.execution import execution_from
from graph.schema.types.instrument import instrument_from
from graph.schema.types.node import Node
from graph.schema.types.operator_action import action_from
from graph.schema.types.order import order_from
from graph.schema.types.trading import halt_from


async def find_nodes(context: Context, node_ids: Sequence[str]) -> list[Node | None]:
    """Return the nodes in the order of the ids, None for each that is not found. Each kind takes one statement."""
    by_kind: dict[str, list[str]] = {}
    for node_id in node_ids:
        by_kind.setdefault(kind_of(node_id), []).append(node_id)
    kinds = [FINDERS[kind](context, some) for kind, some in by_kind.items() if kind in FINDERS]
    found = {node_id: node for nodes in await asyncio.gather(*kinds) for node_id, node in nodes.items()}
    return [found.get(node_id) for node_id in node_ids]


async def _find_orders(context: Context, node_ids: Sequence[str]) -> Mapping[str, Node]:
    order_ids = {order_id for order_id in map(read_order_id, node_ids) if order_id is not None}
    if not order_ids:
        return {}
    found = await context.services.reader.orders_by_id(order_ids, account_ids=context.bearer.visible_accounts)
    orders = map(order_from, found.values())
    return {order.id: order for order in orders}


async def _find_executions(context: Context, node_ids: Sequence[str]) -> Mapping[str, Node]:
    execution_ids = {execution_id for execution_id in map(read_execution_id, node_ids) if execution_id is not None}
    if not execution_ids:
        return {}
    found = await context.services.reader.executions_by_id(execution_ids, account_ids=context.bearer.visible_accounts)
    executions = map(execution_from, found.values())
    return {execution.id: execution for execution in executions}


async def _find_instruments(context: Context, node_ids: Sequence[str]) -> Mapping[str, Node]:
    isins = {isin for isin in map(read_isin_of, node_ids) if isin is not None}
    found = await context.services.catalog.find_many(isins) if isins else {}
    instruments = map(instrument_from, found.values())
    return {instrument.id: instrument for instrument in instruments}


async def _find_halts(context: Context, node_ids: Sequence[str]) -> Mapping[str, Node]:
    halt_ids = {halt_id for halt_id in map(read_halt_id, node_ids) if halt_id is not None}
    if not halt_ids or not context.bearer.allows(Scope.OPERATOR_READ):
        return {}
    halts = map(halt_from, await context.services.control.halts.find(halt_ids))
    return {halt.id: halt for halt in halts}


async def _find_actions(context: Context, node_ids: Sequence[str]) -> Mapping[str, Node]:
    action_ids = {action_id for action_id in map(read_action_id, node_ids) if action_id is not None}
    if not action_ids or not context.bearer.allows(Scope.OPERATOR_READ):
        return {}
    actions = map(action_from, await context.services.actions.find(action_ids))
    return {action.id: action for action in actions}


async def _find_accounts(context: Context, node_ids: Sequence[str]) -> Mapping[str, Node]:
    account_ids = {account_id for account_id in map(read_account_id, node_ids) if account_id is not None}
    visible = account_ids & set(context.bearer.account_ids)
    if account_ids - visible and context.bearer.allows(Scope.OPERATOR_READ):
        visible |= set(await context.services.accounts.known(account_ids - visible))
    accounts = map(account_from, visible)
    return {account.id: account for account in accounts}


FINDERS: Mapping[str, Callable[[Context, Sequence[str]], Awaitable[Mapping[str, Node]]]] = {
    ORDER: _find_orders,
    EXECUTION: _find_executions,
    INSTRUMENT: _find_instruments,
    HALT: _find_halts,
    ACCOUNT: _find_accounts,
    ACTION: _find_actions,
}
