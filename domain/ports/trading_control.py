"""Trading control: limits and halts, set by operators, and the last known prices for limits.

An operator's action is stored together with its `action`, all or nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.model.limits import AccountLimits, LastPrice
from domain.model.operator_actions import NewAction
from domain.model.order_query import Page, PageRequest


class LimitBook(Protocol):
    """The limits of accounts. Every method raises UnavailableError when the database does not answer."""

    async def limits_of(self, account_id: str, *, fresh: bool = False) -> AccountLimits:
        """Return the account's own limits, else the defaults. With `fresh` they are read from the database, else
        they may be outdated; OrderStore.store detects that.
        """

    async def defaults(self) -> AccountLimits:
        """Return the stored limits of every account without its own."""

    async def open_orders(self, account_id: str) -> int:
        """Return how many orders of the account are not final."""

    async def own_limits(self, account_id: str | None) -> AccountLimits | None:
        """Return the limits that are stored for the account itself, or (None) as defaults; None when there are none."""

    async def save(self, limits: AccountLimits, *, replaces: AccountLimits | None, action: NewAction) -> AccountLimits:
        """Replace the limits of the account (or the defaults); return them as stored, with `set_at`.

        Raises VersionConflictError when `replaces` are not the stored ones any more.
        """

    async def clear(self, limits: AccountLimits, *, action: NewAction) -> None:
        """Remove these limits. Raises VersionConflictError when they are not the stored ones any more."""


class InstrumentPrices(Protocol):
    """The last known price of each instrument."""

    async def last_price(self, isin: str) -> LastPrice | None:
        """Return the price, which may be outdated, or None when none is known."""

    async def save(self, prices: Collection[LastPrice]) -> Collection[str]:
        """Store the prices that are newer than the stored ones; return their ISINs.

        A time in the future counts as now.
        """

    async def set(self, price: LastPrice, *, replaces: LastPrice | None, action: NewAction) -> bool:
        """Store an operator's price; return False when `replaces` is not the stored one, or is newer than this one."""

    async def stored_price(self, isin: str) -> LastPrice | None:
        """Return the price as it is stored now."""


class PriceTape(Protocol):
    """The prices of recorded executions. It never waits or raises; losing a price is harmless."""

    def note(self, prices: Iterable[LastPrice]) -> None:
        """Note the prices."""


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
    """The halts of trading, open and ended. Every method raises UnavailableError."""

    async def halt(self, halt: TradingHalt, *, action: NewAction) -> TradingHalt:
        """Begin the halt; return the one that is open for the account (or for all) now, which may be an earlier one
        (then the action is not stored).

        After this returns, no process stores or claims an order of the account (or of any).
        """

    async def resume(self, halt_id: UUID, *, by: str, reason: str, action: NewAction) -> TradingHalt | None:
        """End the halt and return it; None when it is not open any more."""

    async def is_halted(self, account_id: str) -> bool:
        """Return whether a halt is open for the account or for all now."""

    async def halted_accounts(self) -> Collection[str | None]:
        """Return the accounts that have an open halt now, and None among them while one is open for all."""

    async def open_halts(self) -> Sequence[TradingHalt]:
        """Return the open halts, the newest first."""

    async def find(self, halt_ids: Collection[UUID]) -> Sequence[TradingHalt]:
        """Return the halts that exist."""

    async def page(self, request: PageRequest[UUID], *, filter: HaltFilter) -> Page[TradingHalt]:  # noqa: A002 - the API's name
        """Return a page of halts, the newest first, by id."""
