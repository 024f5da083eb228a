"""Trading control by operators: halt and resume trading, set limits. Each action is logged with its operator.

A halt is the kill functionality of MiFID II RTS 6 (Regulation (EU) 2017/589), article 12, and the direct and exclusive
control required by SEC Rule 15c3-5(d). Here it stops new orders: none is stored, and an order that the venue cannot
have yet is not sent. Orders that may be at the venue are still looked up, and every order can be canceled.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from domain.model.errors import (
    InvalidLimitsError,
    NotHaltedError,
    TransientError,
    VersionConflictError,
)
from domain.model.limits import LIMIT_NAMES, AccountLimits, LastPrice, find_invalid_limits
from domain.model.operator_actions import ActionKind, Actor, NewAction, limits_state, price_state, state
from domain.model.values import ZERO, format_decimal, is_isin
from domain.ports.clock_and_ids import Clock, NewId
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.trading_control import InstrumentPrices, LimitBook, TradingHalt, TradingHalts
from domain.services.account_check import AccountCheck
from domain.services.version_conflicts import retry_conflicts

EVERYBODY = "all accounts"
OTHERS_ACT = "Other operators kept changing the same. Try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingControl:
    """The use case of operators. Each action is stored in the audit trail by the statement that performs it.

    Every method that changes an account raises InvalidAccountError for an id that cannot be an account's (see
    AccountCheck): a halt or a limit under it would have no effect.
    """

    halts: TradingHalts
    book: LimitBook
    prices: InstrumentPrices
    accounts: AccountCheck
    telemetry: Telemetry
    clock: Clock
    new_id: NewId

    async def halt(self, account_id: str | None, *, actor: Actor, reason: str) -> TradingHalt:
        """Halt the account, or all; return the open halt. A halt that is open already stays as it is.

        Raises UnavailableError; the halt may have begun then, which is logged, and a repeat shows whether it has.
        """
        await self._require(account_id)
        asked = TradingHalt(
            id=self.new_id(), account_id=account_id, halted_at=self.clock(), halted_by=actor.name, halt_reason=reason
        )
        action = self._action(ActionKind.TRADING_HALTED, actor, reason, account_id, after=_halt_state(asked))
        try:
            halt = await self.halts.halt(asked, action=action)
        except TransientError:
            self.telemetry.error(
                "trading_halt_unconfirmed",
                halt_id=str(asked.id),
                account=account_id or EVERYBODY,
                by=actor.name,
                reason=reason,
                next="it may hold already; repeat it until it is answered",
            )
            raise
        if halt.id == asked.id:
            self.telemetry.error(
                "trading_halted",
                halt_id=str(halt.id),
                account=account_id or EVERYBODY,
                by=actor.name,
                reason=reason,
                next="nothing new is accepted or sent; orders can be canceled; resume when it is over",
            )
        return halt

    async def resume(self, account_id: str | None, *, actor: Actor, reason: str) -> TradingHalt:
        """End the halt of the account, or of all; a halt of the other kind stays.

        Raises NotHaltedError, and UnavailableError; the halt may be over then, which is logged.
        """
        await self._require(account_id)
        try:
            ended = await retry_conflicts(
                lambda halt: self._resume(halt, actor=actor, reason=reason),
                read=lambda: self._open_halt(account_id),
                refusal=OTHERS_ACT,
            )
        except TransientError:
            self.telemetry.error(
                "trading_resume_unconfirmed",
                account=account_id or EVERYBODY,
                by=actor.name,
                reason=reason,
                next="the halt may be over already; repeat it until it is answered",
            )
            raise
        self.telemetry.warning(
            "trading_resumed",
            halt_id=str(ended.id),
            account=account_id or EVERYBODY,
            by=actor.name,
            reason=reason,
            next="orders are accepted again, and what waited is sent unless it is too old",
        )
        return ended

    async def set_limits(self, limits: AccountLimits, *, actor: Actor, reason: str) -> AccountLimits:
        """Replace all limits of the account, or the defaults. Raises InvalidLimitsError and UnavailableError."""
        await self._require(limits.account_id)
        wrong = find_invalid_limits(limits)
        if wrong:
            raise InvalidLimitsError(wrong)
        asked = replace(limits, set_by=actor.name)

        async def save(before: AccountLimits | None) -> AccountLimits:
            states = {"before": limits_state(before), "after": limits_state(asked)}
            action = self._action(ActionKind.LIMITS_SET, actor, reason, limits.account_id, **states)
            return await self.book.save(asked, replaces=before, action=action)

        stored = await retry_conflicts(save, read=lambda: self.book.own_limits(limits.account_id), refusal=OTHERS_ACT)
        self.telemetry.warning("limits_set", **_said(stored), next="they hold for every order from now on")
        return stored

    async def clear_limits(self, account_id: str | None, *, actor: Actor, reason: str) -> bool:
        """Remove the account's own limits, or the defaults; return False if there were none.

        Raises UnavailableError.
        """
        await self._require(account_id)

        async def clear(before: AccountLimits | None) -> bool:
            if before is None:
                return False
            states = {"before": limits_state(before)}
            action = self._action(ActionKind.LIMITS_CLEARED, actor, reason, account_id, **states)
            await self.book.clear(before, action=action)
            return True

        were_there = await retry_conflicts(clear, read=lambda: self.book.own_limits(account_id), refusal=OTHERS_ACT)
        if were_there:
            self.telemetry.warning(
                "limits_cleared",
                account=account_id or EVERYBODY,
                by=actor.name,
                next="the defaults hold, where there are any",
            )
        return were_there

    async def set_price(self, isin: str, price: Decimal, *, actor: Actor, reason: str) -> bool:
        """Set the instrument's last known price; return False if a newer one is known.

        Raises InvalidLimitsError and UnavailableError.
        """
        if price <= ZERO or not is_isin(isin):
            raise InvalidLimitsError({"price": "Give an ISIN and a price of more than zero."})
        asked = LastPrice(isin=isin, price=price, at=self.clock())

        async def save(before: LastPrice | None) -> bool:
            states = {"before": price_state(before), "after": price_state(asked)}
            action = self._action(ActionKind.PRICE_SET, actor, reason, None, **states)
            if await self.prices.set(asked, replaces=before, action=action):
                return True
            if await self.prices.stored_price(isin) == before:
                return False
            raise VersionConflictError

        is_set = await retry_conflicts(save, read=lambda: self.prices.stored_price(isin), refusal=OTHERS_ACT)
        if is_set:
            self.telemetry.warning(
                "price_set", isin=isin, price=format_decimal(price), by=actor.name, next="limits are judged by it"
            )
        return is_set

    async def measure(self) -> None:
        """Set the gauge of open halts."""
        self.telemetry.set(Metric.TRADING_HALTED, len(await self.halts.open_halts()))

    async def _require(self, account_id: str | None) -> None:
        if account_id is not None:
            await self.accounts.require(account_id)

    async def _open_halt(self, account_id: str | None) -> TradingHalt:
        open_halts = await self.halts.open_halts()
        halt = next((one for one in open_halts if one.account_id == account_id), None)
        if halt is None:
            raise NotHaltedError(account_id)
        return halt

    async def _resume(self, halt: TradingHalt, *, actor: Actor, reason: str) -> TradingHalt:
        states = {"before": _halt_state(halt)}
        action = self._action(ActionKind.TRADING_RESUMED, actor, reason, halt.account_id, **states)
        ended = await self.halts.resume(halt.id, by=actor.name, reason=reason, action=action)
        if ended is None:
            raise VersionConflictError
        return ended

    def _action(
        self,
        kind: ActionKind,
        actor: Actor,
        reason: str,
        account_id: str | None,
        *,
        before: str | None = None,
        after: str | None = None,
    ) -> NewAction:
        return NewAction(
            id=self.new_id(),
            actor=actor,
            kind=kind,
            reason=reason,
            account_id=account_id,
            before=before,
            after=after,
        )


def _halt_state(halt: TradingHalt) -> str:
    values = {"haltId": str(halt.id), "haltedAt": halt.halted_at, "haltedBy": halt.halted_by}
    return state({**values, "haltReason": halt.halt_reason})


def _said(limits: AccountLimits) -> dict[str, object]:
    values = {name: getattr(limits, name) for name in LIMIT_NAMES}
    shown = {name: str(value) for name, value in values.items() if value is not None}
    return {"account": limits.account_id or EVERYBODY, "by": limits.set_by, **shown}
