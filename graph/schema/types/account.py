"""An account as seen by its token's bearer and by operators. Costly fields are read on demand, with one statement
for all accounts of an answer.
"""

from datetime import datetime

import strawberry

from graph.auth.bearer import Scope
from graph.context import Info
from graph.schema.fields import described
from graph.schema.global_ids import account_node_id
from graph.schema.types.node import Node
from graph.schema.types.trading import AccountLimits


@strawberry.type
class Account(Node):
    account_id: strawberry.ID

    @described("How many of its orders are not final.")
    async def open_orders(self, info: Info) -> int:
        return await info.context.services.control.book.open_orders(_readable(self, info))

    @described("Whether trading is halted for it, by a halt of its own or of all.")
    async def trading_halted(self, info: Info) -> bool:
        return await info.context.services.control.halts.is_halted(_readable(self, info))

    @described("When its newest order was stored; null before the first.")
    async def last_order_at(self, info: Info) -> datetime | None:
        return await info.context.services.accounts.last_order_at(_readable(self, info))

    @described(
        "Head of its hash chain: the hash behind its newest change that is sealed, SHA-256 in hexadecimal. It seals "
        "every change up to that one; changes are sealed a second or two after they happen."
    )
    async def audit_head(self, info: Info) -> str:
        return (await info.context.services.seals.head(_readable(self, info))).hash

    @described("The pre-trade limits that hold for it.")
    async def limits(self, info: Info) -> AccountLimits:
        found = await info.context.services.control.book.limits_of(_readable(self, info), fresh=True)
        return AccountLimits.of(found, for_operator=info.context.bearer.allows(Scope.OPERATOR_READ))


def account_from(account_id: str) -> Account:
    """Return the account in public form."""
    return Account(id=account_node_id(account_id), account_id=strawberry.ID(account_id))


def _readable(account: Account, info: Info) -> str:
    """Return the account's id; raise FORBIDDEN for a token that may not read, such as one that may only place."""
    info.context.bearer.require(Scope.READ)
    return account.account_id
