"""The bearer of the token, in public form."""

from datetime import datetime

import strawberry

from graph.auth.bearer import Bearer, Scope
from graph.context import Info
from graph.schema.fields import described
from graph.schema.types.account import Account, account_from
from graph.schema.types.trading import AccountLimits

_SEVERAL = "Of a token that names several accounts, or none, the error ACCOUNT_REQUIRED: ask for `accounts`."


@strawberry.type
class Viewer:
    scopes: list[str]
    token_expires_at: datetime | None

    @described(f"The account that it acts for. {_SEVERAL}")
    def account_id(self, info: Info) -> strawberry.ID:
        return strawberry.ID(info.context.bearer.own_account())

    @described("The accounts that the token names.")
    def accounts(self, info: Info) -> list[Account]:
        return [account_from(account_id) for account_id in info.context.bearer.account_ids]

    @described(f"The pre-trade limits that hold for the account. {_SEVERAL}")
    async def limits(self, info: Info) -> AccountLimits:
        return await _own_account(info).limits(info)

    @described(f"How many orders of the account are not final. {_SEVERAL}")
    async def open_orders(self, info: Info) -> int:
        return await _own_account(info).open_orders(info)

    @described(f"Whether trading is halted for the account, by a halt of its own or of all. {_SEVERAL}")
    async def trading_halted(self, info: Info) -> bool:
        return await _own_account(info).trading_halted(info)

    @described(
        "Head of the account's hash chain: the hash behind its newest change that is sealed, SHA-256 in hexadecimal. "
        "It seals every change up to that one; changes are sealed a second or two after they happen. "
        "Of a token that names several accounts, or none, the error ACCOUNT_REQUIRED."
    )
    async def audit_head(self, info: Info) -> str:
        return await _own_account(info).audit_head(info)


def viewer_from(bearer: Bearer) -> Viewer:
    """Return the viewer in public form."""
    return Viewer(scopes=sorted(bearer.scopes), token_expires_at=bearer.token_expires_at)


def _own_account(info: Info) -> Account:
    info.context.bearer.require(Scope.READ)
    return account_from(info.context.bearer.own_account())
