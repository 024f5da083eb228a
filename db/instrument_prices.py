"""The last known price of each instrument, cached: orders are checked against it where limits need a price."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from db.database import Database, Row
from db.operator_actions import action_arguments, append_action
from domain.model.limits import LastPrice
from domain.model.operator_actions import NewAction
from domain.ports.trading_control import InstrumentPrices
from domain.services.batcher import Batcher

CACHED_PRICES_MAX = 10_000
LOOKUP_BATCH_MAX_INSTRUMENTS = 256
LOOKUP_QUEUE_MAX_CALLS = 4_096

FIND = "SELECT p.* FROM instrument_prices AS p WHERE p.isin = ANY($1::text[])"
# A moment of the future (a wrong clock, here or at the venue) counts as this one: it would freeze the price.
SAVE = """
INSERT INTO instrument_prices AS p (isin, price, at)
SELECT n.isin, n.price, least(n.at, now())
FROM unnest($1::text[], $2::numeric[], $3::timestamptz[]) AS n (isin, price, at)
ON CONFLICT (isin) DO UPDATE SET price = excluded.price, at = excluded.at WHERE p.at < excluded.at OR p.at > now()
RETURNING p.isin
"""
# The price of the time $4 is replaced: the action contains the previous one.
SET = f"""
WITH replaced AS MATERIALIZED (
    SELECT p.at FROM instrument_prices AS p WHERE p.isin = $1 AND p.at = $4::timestamptz FOR UPDATE
), saved AS (
    INSERT INTO instrument_prices AS p (isin, price, at)
    SELECT $1, $2::numeric, least($3::timestamptz, now()) WHERE $4 IS NULL OR EXISTS (SELECT FROM replaced)
    ON CONFLICT (isin) DO UPDATE SET price = excluded.price, at = excluded.at
    WHERE p.at = $4 AND (p.at < excluded.at OR p.at > now())
    RETURNING p.isin
)
SELECT {append_action(5)} AS sequence FROM saved
"""  # noqa: S608 - our own expression


@dataclass(frozen=True, slots=True)
class _CachedPrice:
    price: LastPrice | None
    until: float


class PostgresInstrumentPrices(InstrumentPrices):
    """Prices in PostgreSQL, cached for `cache_seconds` by the monotonic `clock`."""

    def __init__(
        self, database: Database, *, cache_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._cache: dict[str, _CachedPrice] = {}
        self._lookups: Batcher[str, LastPrice | None] = Batcher(
            self._look_up, batch_max_items=LOOKUP_BATCH_MAX_INSTRUMENTS, queue_max_items=LOOKUP_QUEUE_MAX_CALLS
        )

    async def last_price(self, isin: str) -> LastPrice | None:
        cached = self._cache.get(isin)
        if cached is not None and self._clock() < cached.until:
            return cached.price
        return await self._lookups.submit(isin)

    async def save(self, prices: Collection[LastPrice]) -> Collection[str]:
        newest: dict[str, LastPrice] = {}
        # Sorted, so that concurrent saves lock in one order.
        for one in sorted(prices, key=lambda one: (one.isin, one.at)):
            newest[one.isin] = one
        saved = list(newest.values())
        taken = await self._database.fetch(
            SAVE, [one.isin for one in saved], [one.price for one in saved], [one.at for one in saved]
        )
        for one in saved:
            self._cache.pop(one.isin, None)
        return {row["isin"] for row in taken}

    async def stored_price(self, isin: str) -> LastPrice | None:
        rows = await self._database.fetch(FIND, [isin])
        return next((_price_of(row) for row in rows), None)

    async def set(self, price: LastPrice, *, replaces: LastPrice | None, action: NewAction) -> bool:
        replaced_at = replaces and replaces.at
        rows = await self._database.fetch(
            SET, price.isin, price.price, price.at, replaced_at, *action_arguments(action)
        )
        self._cache.pop(price.isin, None)
        return bool(rows)

    async def _look_up(self, isins: Sequence[str]) -> Sequence[LastPrice | None]:
        rows = await self._database.fetch(FIND, list(set(isins)))
        found = {row["isin"]: _price_of(row) for row in rows}
        if len(self._cache) + len(isins) > CACHED_PRICES_MAX:
            self._cache.clear()
        until = self._clock() + self._cache_seconds
        for isin in isins:
            self._cache[isin] = _CachedPrice(found.get(isin), until)
        return [found.get(isin) for isin in isins]


def _price_of(row: Row) -> LastPrice:
    return LastPrice(isin=row["isin"], price=row["price"], at=row["at"])
