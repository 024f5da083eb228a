"""The bearer of the token, as the bearer sees it."""

from datetime import datetime

import strawberry

from graph.auth.bearer import Bearer, Scope
from graph.context import Info
from graph.schema.fields import described
from graph.schema.types.trading import AccountLimits


@strawberry.type
class Viewer:
    account_id: strawberry.ID
    scopes: list[str]
    token_expires_at: datetime | None

    @described("The pre-trade limits that hold for the account.")
    async def limits(self, info: Info) -> AccountLimits:
        bearer = info.context.bearer
        bearer.require(Scope.READ)
        found = await info.context.services.control.book.limits_of(bearer.account_id, fresh=True)
        return AccountLimits.of(found, for_operator=bearer.is_operator)

    @described("How many orders of the account are not final.")
    async def open_orders(self, info: Info) -> int:
        bearer = info.context.bearer
        bearer.require(Scope.READ)
        return await info.context.services.control.book.open_orders(bearer.account_id)

    @described("Whether trading is halted for the account, by a halt of its own or of all.")
    async def trading_halted(self, info: Info) -> bool:
        bearer = info.context.bearer
        bearer.require(Scope.READ)
        return await info.context.services.control.halts.is_halted(bearer.account_id)

    @described(
        "Head of the account's hash chain: the hash behind its newest change that is sealed, SHA-256 in hexadecimal. "
        "It seals every change up to that one; changes are sealed a second or two after they happen."
    )
    async def audit_head(self, info: Info) -> str:
        bearer = info.context.bearer
        bearer.require(Scope.READ)
        heads = await info.context.services.seals.heads([bearer.account_id])
        return heads[bearer.account_id].hash


def viewer_from(bearer: Bearer) -> Viewer:
    """The viewer as clients see it."""
    return Viewer(
        account_id=strawberry.ID(bearer.account_id),
        scopes=sorted(bearer.scopes),
        token_expires_at=bearer.token_expires_at,
    )
