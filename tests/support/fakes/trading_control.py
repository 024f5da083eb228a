"""Limits, last known prices and halts in memory."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from domain.model.errors import VersionConflictError
from domain.model.limits import NO_LIMITS, AccountLimits, LastPrice
from domain.model.operator_actions import NewAction
from domain.model.order_query import Page, PageRequest
from domain.ports.clock_and_ids import Clock
from domain.ports.trading_control import HaltFilter, TradingHalt
from tests.support.fakes.audit import MemoryOperatorActions
from tests.support.fakes.paging import cut

MOMENT = timedelta(microseconds=1)


@dataclass(slots=True)
class MemoryLimitBook:
    """LimitBook. When not fresh, it returns the previous limits, like a cache."""

    clock: Clock
    actions: MemoryOperatorActions
    stored: dict[str | None, AccountLimits] = field(default_factory=dict)
    cached: dict[str, AccountLimits] = field(default_factory=dict)
    count_open: Callable[[str], int] = lambda _: 0

    async def limits_of(self, account_id: str, *, fresh: bool = False) -> AccountLimits:
        if fresh or account_id not in self.cached:
            self.cached[account_id] = self.holding(account_id)
        return self.cached[account_id]

    async def defaults(self) -> AccountLimits:
        return self.stored.get(None, NO_LIMITS)

    async def open_orders(self, account_id: str) -> int:
        return self.count_open(account_id)

    async def own_limits(self, account_id: str | None) -> AccountLimits | None:
        return self.stored.get(account_id)

    async def save(self, limits: AccountLimits, *, replaces: AccountLimits | None, action: NewAction) -> AccountLimits:
        self._require_stored(limits.account_id, replaces)
        self.actions.append(action)
        before = self.stored.get(limits.account_id, NO_LIMITS).set_at
        now = self.clock()
        stored = replace(limits, set_at=now if before is None else max(now, before + MOMENT))
        self.stored[limits.account_id] = stored
        return stored

    async def clear(self, limits: AccountLimits, *, action: NewAction) -> None:
        self._require_stored(limits.account_id, limits)
        self.actions.append(action)
        del self.stored[limits.account_id]

    def holding(self, account_id: str) -> AccountLimits:
        """Return the limits that apply at this moment."""
        return self.stored.get(account_id) or self.stored.get(None, NO_LIMITS)

    def _require_stored(self, account_id: str | None, limits: AccountLimits | None) -> None:
        stored = self.stored.get(account_id)
        if (stored and stored.set_at) != (limits and limits.set_at):
            raise VersionConflictError


@dataclass(slots=True)
class MemoryInstrumentPrices:
    """InstrumentPrices, and the PriceTape that writes to them immediately."""

    prices: dict[str, LastPrice] = field(default_factory=dict)
    actions: MemoryOperatorActions | None = None

    async def last_price(self, isin: str) -> LastPrice | None:
        return self.prices.get(isin)

    async def save(self, prices: Collection[LastPrice]) -> Collection[str]:
        before = dict(self.prices)
        self.note(prices)
        return {isin for isin, price in self.prices.items() if before.get(isin) != price}

    async def set(self, price: LastPrice, *, replaces: LastPrice | None, action: NewAction) -> bool:
        stored = self.prices.get(price.isin)
        if stored != replaces or (stored is not None and stored.at >= price.at):
            return False
        self.prices[price.isin] = price
        if self.actions is not None:
            self.actions.append(action)
        return True

    async def stored_price(self, isin: str) -> LastPrice | None:
        return self.prices.get(isin)

    def note(self, prices: Iterable[LastPrice]) -> None:
        for one in prices:
            known = self.prices.get(one.isin)
            if known is None or known.at < one.at:
                self.prices[one.isin] = one


@dataclass(slots=True)
class MemoryTradingHalts:
    """TradingHalts."""

    clock: Clock
    actions: MemoryOperatorActions
    halts: dict[UUID, TradingHalt] = field(default_factory=dict)

    async def halt(self, halt: TradingHalt, *, action: NewAction) -> TradingHalt:
        earlier = self._open(halt.account_id)
        if earlier is not None:
            return earlier
        self.actions.append(action)
        self.halts[halt.id] = halt
        return halt

    async def resume(self, halt_id: UUID, *, by: str, reason: str, action: NewAction) -> TradingHalt | None:
        halt = self.halts.get(halt_id)
        if halt is None or halt.resumed_at is not None:
            return None
        self.actions.append(action)
        ended = self.halts[halt.id] = replace(halt, resumed_at=self.clock(), resumed_by=by, resume_reason=reason)
        return ended

    async def is_halted(self, account_id: str) -> bool:
        return self.stopping(account_id) is not None

    async def halted_accounts(self) -> Collection[str | None]:
        return {halt.account_id for halt in await self.open_halts()}

    async def open_halts(self) -> Sequence[TradingHalt]:
        return [halt for halt in self._newest_first() if halt.resumed_at is None]

    async def find(self, halt_ids: Collection[UUID]) -> Sequence[TradingHalt]:
        return [self.halts[halt_id] for halt_id in halt_ids if halt_id in self.halts]

    async def page(self, request: PageRequest[UUID], *, filter: HaltFilter) -> Page[TradingHalt]:  # noqa: A002 - the port's word
        rows = [
            halt
            for halt in self._newest_first()
            if filter.is_open in (None, halt.resumed_at is None)
            and (filter.account_id is None or halt.account_id in (None, filter.account_id))
        ]
        return cut(rows, request, key=_id, descending=True)

    def stopping(self, account_id: str) -> TradingHalt | None:
        """Return the open halt that stops the account: that of all before its own."""
        return self._open(None) or self._open(account_id)

    def _open(self, account_id: str | None) -> TradingHalt | None:
        halts = self.halts.values()
        return next((halt for halt in halts if halt.resumed_at is None and halt.account_id == account_id), None)

    def _newest_first(self) -> Sequence[TradingHalt]:
        return sorted(self.halts.values(), key=_id, reverse=True)


def _id(halt: TradingHalt | UUID) -> UUID:
    return halt if isinstance(halt, UUID) else halt.id
