"""The instruments that can be traded, cached: every new order needs one."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, collate, func, literal, or_, select

from db.columns import NAME
from db.database import Database, Row
from db.keyset import Keyset, read_page
from db.look_ups import LookUpCache
from db.venue_tables import instruments
from domain.model.order_query import Page, PageRequest
from domain.model.values import Instrument
from domain.ports.readers import InstrumentCatalog

CACHED_INSTRUMENTS_MAX = 10_000

FIND = "SELECT i.* FROM instruments AS i WHERE i.isin = ANY($1::text[])"
SAVE = """
INSERT INTO instruments AS i (isin, symbol, name, currency, tick_size, lot_size, tradable)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::bool[])
ON CONFLICT (isin) DO UPDATE SET
    symbol = excluded.symbol, name = excluded.name, currency = excluded.currency,
    tick_size = excluded.tick_size, lot_size = excluded.lot_size, tradable = excluded.tradable
WHERE (i.symbol, i.name, i.currency, i.tick_size, i.lot_size, i.tradable) IS DISTINCT FROM (
    excluded.symbol, excluded.name, excluded.currency, excluded.tick_size, excluded.lot_size, excluded.tradable
)
RETURNING i.isin
"""
_BY_ISIN: Keyset[str] = Keyset(columns=(instruments.c.isin,), values=lambda key: (literal(key, NAME),))


class PostgresInstrumentCatalog(InstrumentCatalog):
    """Instruments in PostgreSQL, cached for `cache_seconds` by the monotonic `clock`."""

    def __init__(
        self, database: Database, *, cache_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._instruments: LookUpCache[str, Instrument | None] = LookUpCache(
            self._read,
            missing=None,
            caches_missing=False,
            entries_max=CACHED_INSTRUMENTS_MAX,
            cache_seconds=cache_seconds,
            clock=clock,
        )

    async def find(self, isin: str) -> Instrument | None:
        return await self._instruments.get(isin)

    async def find_many(self, isins: Collection[str]) -> Mapping[str, Instrument]:
        found = await self._instruments.get_many(isins)
        return {isin: instrument for isin, instrument in found.items() if instrument is not None}

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[Instrument]:
        rows = select(*instruments.columns)
        if search:
            columns = (instruments.c.isin, instruments.c.symbol, instruments.c.name)
            rows = rows.where(or_(*(_starts_with(column, search) for column in columns)))
        return await read_page(self._database, rows, request, keyset=_BY_ISIN, item_of=_instrument_of)

    async def save(self, instruments: Sequence[Instrument]) -> int:
        # Sorted, so that two that save at once lock in one order.
        distinct = sorted({one.isin: one for one in instruments}.values(), key=lambda one: one.isin)
        rows = await self._database.fetch(
            SAVE,
            [one.isin for one in distinct],
            [one.symbol for one in distinct],
            [one.name for one in distinct],
            [one.currency for one in distinct],
            [one.tick_size for one in distinct],
            [one.lot_size for one in distinct],
            [one.tradable for one in distinct],
        )
        for row in rows:
            self._instruments.remove(row["isin"])
        return len(rows)

    async def _read(self, isins: Collection[str]) -> Mapping[str, Instrument]:
        return {row["isin"]: _instrument_of(row) for row in await self._database.fetch(FIND, list(isins))}


def _starts_with(column: ColumnElement[str], search: str) -> ColumnElement[bool]:
    """Compare ignoring case, by the database's own rules for letters on both sides."""
    text: ColumnElement[Any] = collate(column, "default")
    return func.starts_with(func.lower(text), func.lower(collate(literal(search), "default")))


def _instrument_of(row: Row) -> Instrument:
    return Instrument(
        isin=row["isin"],
        symbol=row["symbol"],
        name=row["name"],
        currency=row["currency"],
        tick_size=row["tick_size"],
        lot_size=row["lot_size"],
        tradable=row["tradable"],
    )
