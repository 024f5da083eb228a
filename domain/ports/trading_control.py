"""What operators set and what the pre-trade limits read: limits, last known prices, halts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.model.limits import AccountLimits, LastPrice
from domain.model.order_query import Page, PageRequest


class LimitBook(Protocol):
    """The limits of accounts. Every method raises Unavailable when the database does not answer."""

    async def limits_of(self, account_id: str, *, fresh: bool = False) -> AccountLimits:
        """Those that hold for the account: its own, else the defaults. With `fresh` as they are stored now, else
        perhaps as they were a moment ago; whoever stores an order compares (see OrderStore.store)."""

    async def defaults(self) -> AccountLimits:
        """Those of every account without limits of its own, as they are stored now."""

    async def open_orders(self, account_id: str) -> int:
        """How many orders of the account are not final."""

    async def save(self, limits: AccountLimits) -> AccountLimits:
        """Replace the limits of the account (or the defaults); as they are stored, with the moment."""

    async def clear(self, account_id: str | None) -> bool:
        """Remove the account's own limits, so that the defaults hold, or the defaults; False when there were none."""


class InstrumentPrices(Protocol):
    """The last known price of each instrument."""

    async def last_price(self, isin: str) -> LastPrice | None:
        """The price as it was a moment ago, or None when none is known."""

    async def save(self, prices: Collection[LastPrice]) -> Collection[str]:
        """Keep those that are newer than what is kept; the ISINs of those that were taken.

        A moment of the future counts as now.
        """


class PriceTape(Protocol):
    """Hears of the prices of executions as they are recorded. It never waits or raises; losing one is harmless."""

    def note(self, prices: Iterable[LastPrice]) -> None:
        """Take the prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingHalt:
    """One halt, of one account or (`account_id` None) of all, from beginning to end: it is never overwritten.

    `halted_by` and `resumed_by` name operators.
    """

    id: UUID
    account_id: str | None
    halted_at: datetime
    halted_by: str
    halt_reason: str
    resumed_at: datetime | None = None
    resumed_by: str | None = None
    resume_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltFilter:
    """Which halts to show: only open or only ended ones, and those that hold for one account."""

    is_open: bool | None = None
    account_id: str | None = None


class TradingHalts(Protocol):
    """The halts of trading, and the trail of all that ever were. Every method raises Unavailable."""

    async def halt(self, halt: TradingHalt) -> TradingHalt:
        """Begin it; gives the halt that is open for that account (or for all) now, an earlier one if there was one.

        When this returns, no order that it concerns is stored or claimed any more, in whatever process.
        """

    async def resume(self, account_id: str | None, *, by: str, reason: str) -> TradingHalt | None:
        """End the open halt of that account (or of all); None when there is none."""

    async def is_halted(self, account_id: str) -> bool:
        """Whether a halt is open for the account or for all, at this moment."""

    async def halted_accounts(self) -> Collection[str | None]:
        """The accounts for which a halt of their own is open at this moment, and None while one is open for all."""

    async def open_halts(self) -> Sequence[TradingHalt]:
        """The halts that are open, the newest first."""

    async def find(self, halt_ids: Collection[UUID]) -> Sequence[TradingHalt]:
        """Those that exist."""

    async def page(self, request: PageRequest[UUID], *, filter: HaltFilter) -> Page[TradingHalt]:  # noqa: A002 - the API's word
        """The trail, the newest first, by id."""
