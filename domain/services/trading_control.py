"""Trading control by operators: halt and resume trading, set limits. Each action is logged with its operator.

A halt is the kill functionality of MiFID II RTS 6 (Regulation (EU) 2017/589), article 12, and the direct and exclusive
control that SEC Rule 15c3-5(d) asks for. Here it stops new orders: none is stored, and none is sent that the venue
cannot have yet. Orders that may be at the venue are still looked up, and every order can be canceled.
"""

from dataclasses import dataclass, replace

from domain.model.errors import InvalidLimitsError, NotHaltedError, TransientError
from domain.model.limits import LIMIT_NAMES, AccountLimits, find_invalid_limits
from domain.ports.clock_and_ids import Clock, NewId
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.trading_control import LimitBook, TradingHalt, TradingHalts
from domain.services.account_check import AccountCheck

EVERYBODY = "all accounts"


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingControl:
    """The use case of operators. `by` names the operator.

    Every method that changes something raises InvalidAccountError for an id that cannot be an account's (see
    AccountCheck): a halt or a limit under it would hold for nobody.
    """

    halts: TradingHalts
    book: LimitBook
    accounts: AccountCheck
    telemetry: Telemetry
    clock: Clock
    new_id: NewId

    async def halt(self, account_id: str | None, *, by: str, reason: str) -> TradingHalt:
        """Halt the account, or all; return the open halt. A halt that is open already stays as it is.

        Raises UnavailableError; the halt may have begun then, which is logged, and a repeat shows whether it has.
        """
        await self._require(account_id)
        asked = TradingHalt(
            id=self.new_id(), account_id=account_id, halted_at=self.clock(), halted_by=by, halt_reason=reason
        )
        try:
            halt = await self.halts.halt(asked)
        except TransientError:
            self.telemetry.error(
                "trading_halt_unconfirmed",
                halt_id=str(asked.id),
                account=account_id or EVERYBODY,
                by=by,
                reason=reason,
                next="it may hold already; repeat it until it is answered",
            )
            raise
        if halt.id == asked.id:
            self.telemetry.error(
                "trading_halted",
                halt_id=str(halt.id),
                account=account_id or EVERYBODY,
                by=by,
                reason=reason,
                next="nothing new is accepted or sent; orders can be canceled; resume when it is over",
            )
        return halt

    async def resume(self, account_id: str | None, *, by: str, reason: str) -> TradingHalt:
        """End the halt of the account, or of all; a halt of the other kind stays.

        Raises NotHaltedError, and UnavailableError; the halt may be over then, which is logged.
        """
        await self._require(account_id)
        try:
            ended = await self.halts.resume(account_id, by=by, reason=reason)
        except TransientError:
            self.telemetry.error(
                "trading_resume_unconfirmed",
                account=account_id or EVERYBODY,
                by=by,
                reason=reason,
                next="the halt may be over already; repeat it until it is answered",
            )
            raise
        if ended is None:
            raise NotHaltedError(account_id)
        self.telemetry.warning(
            "trading_resumed",
            halt_id=str(ended.id),
            account=account_id or EVERYBODY,
            by=by,
            reason=reason,
            next="orders are accepted again, and what waited is sent unless it is too old",
        )
        return ended

    async def set_limits(self, limits: AccountLimits, *, by: str) -> AccountLimits:
        """Replace all limits of the account, or the defaults. Raises InvalidLimitsError and UnavailableError."""
        await self._require(limits.account_id)
        wrong = find_invalid_limits(limits)
        if wrong:
            raise InvalidLimitsError(wrong)
        stored = await self.book.save(replace(limits, set_by=by))
        self.telemetry.warning("limits_set", **_said(stored), next="they hold for every order from now on")
        return stored

    async def clear_limits(self, account_id: str | None, *, by: str) -> bool:
        """Remove the account's own limits, or the defaults; return False if there were none.

        Raises UnavailableError.
        """
        await self._require(account_id)
        were_there = await self.book.clear(account_id)
        if were_there:
            self.telemetry.warning(
                "limits_cleared", account=account_id or EVERYBODY, by=by, next="the defaults hold, where there are any"
            )
        return were_there

    async def measure(self) -> None:
        """Set the gauge of open halts."""
        self.telemetry.set(Metric.TRADING_HALTED, len(await self.halts.open_halts()))

    async def _require(self, account_id: str | None) -> None:
        if account_id is not None:
            await self.accounts.require(account_id)


def _said(limits: AccountLimits) -> dict[str, object]:
    values = {name: getattr(limits, name) for name in LIMIT_NAMES}
    shown = {name: str(value) for name, value in values.items() if value is not None}
    return {"account": limits.account_id or EVERYBODY, "by": limits.set_by, **shown}
