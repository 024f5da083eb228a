"""The last known price of each instrument, cached: orders are checked against it where limits need a price."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from db.database import Database
from domain.model.limits import LastPrice
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
        # Sorted, so that two that save at once lock in one order.
        for one in sorted(prices, key=lambda one: (one.isin, one.at)):
            newest[one.isin] = one
        saved = list(newest.values())
        taken = await self._database.fetch(
            SAVE, [one.isin for one in saved], [one.price for one in saved], [one.at for one in saved]
        )
        for one in saved:
            self._cache.pop(one.isin, None)
        return {row["isin"] for row in taken}

    async def _look_up(self, isins: Sequence[str]) -> Sequence[LastPrice | None]:
        rows = await self._database.fetch(FIND, list(set(isins)))
        found = {row["isin"]: LastPrice(isin=row["isin"], price=row["price"], at=row["at"]) for row in rows}
        if len(self._cache) + len(isins) > CACHED_PRICES_MAX:
            self._cache.clear()
        until = self._clock() + self._cache_seconds
        for isin in isins:
            self._cache[isin] = _CachedPrice(found.get(isin), until)
        return [found.get(isin) for isin in isins]
