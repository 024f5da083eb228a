"""The last known price of each instrument, cached: orders are checked against it where limits need a price."""

import time
from collections.abc import Callable, Collection, Mapping

from db.database import Database, Row
from db.look_ups import LookUpCache
from db.operator_actions import action_arguments, append_action
from domain.model.limits import LastPrice
from domain.model.operator_actions import NewAction
from domain.ports.trading_control import InstrumentPrices

CACHED_PRICES_MAX = 10_000

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


class PostgresInstrumentPrices(InstrumentPrices):
    """Prices in PostgreSQL, cached for `cache_seconds` by the monotonic `clock`."""

    def __init__(
        self, database: Database, *, cache_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._prices: LookUpCache[str, LastPrice | None] = LookUpCache(
            self._read, missing=None, entries_max=CACHED_PRICES_MAX, cache_seconds=cache_seconds, clock=clock
        )

    async def last_price(self, isin: str) -> LastPrice | None:
        return await self._prices.get(isin)

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
            self._prices.remove(one.isin)
        return {row["isin"] for row in taken}

    async def stored_price(self, isin: str) -> LastPrice | None:
        return (await self._read([isin])).get(isin)

    async def set(self, price: LastPrice, *, replaces: LastPrice | None, action: NewAction) -> bool:
        replaced_at = replaces and replaces.at
        rows = await self._database.fetch(
            SET, price.isin, price.price, price.at, replaced_at, *action_arguments(action)
        )
        self._prices.remove(price.isin)
        return bool(rows)

    async def _read(self, isins: Collection[str]) -> Mapping[str, LastPrice]:
        return {row["isin"]: _price_of(row) for row in await self._database.fetch(FIND, list(isins))}


def _price_of(row: Row) -> LastPrice:
    return LastPrice(isin=row["isin"], price=row["price"], at=row["at"])
