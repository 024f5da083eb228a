"""What operators do to the stores, where a test is not about the trail of it."""

from uuid_utils.compat import uuid7

from domain.model.limits import AccountLimits
from domain.model.operator_actions import ActionKind, Actor, NewAction
from domain.model.revocations import Revocation
from domain.ports.revocations import TokenRevocations
from domain.ports.trading_control import LimitBook, TradingHalt, TradingHalts

OLGA = Actor(subject="olga", token_id="t-1", address="192.0.2.7")


def an_action(kind: ActionKind = ActionKind.TRADING_HALTED, *, account_id: str | None = None) -> NewAction:
    """Return an action of the operator Olga."""
    return NewAction(id=uuid7(), actor=OLGA, kind=kind, reason="a test", account_id=account_id)


async def save_limits(book: LimitBook, limits: AccountLimits) -> AccountLimits:
    """Replace the limits that are stored now."""
    replaces = await book.own_limits(limits.account_id)
    return await book.save(limits, replaces=replaces, action=an_action(ActionKind.LIMITS_SET))


async def clear_limits(book: LimitBook, account_id: str | None) -> bool:
    """Clear the limits that are stored now; return False if there are none."""
    limits = await book.own_limits(account_id)
    if limits is not None:
        await book.clear(limits, action=an_action(ActionKind.LIMITS_CLEARED))
    return limits is not None


async def store_revocation(store: TokenRevocations, revocation: Revocation) -> None:
    """Store the revocation with an action."""
    await store.revoke(revocation, action=an_action(ActionKind.TOKENS_REVOKED))


async def begin_halt(halts: TradingHalts, halt: TradingHalt) -> TradingHalt:
    """Begin the halt, unless one is open."""
    return await halts.halt(halt, action=an_action())


async def end_halt(halts: TradingHalts, account_id: str | None, *, by: str, reason: str) -> TradingHalt | None:
    """End the halt that is open now, if there is one."""
    halt = next((one for one in await halts.open_halts() if one.account_id == account_id), None)
    return halt and await halts.resume(halt.id, by=by, reason=reason, action=an_action(ActionKind.TRADING_RESUMED))
