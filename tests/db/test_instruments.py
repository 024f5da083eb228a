"""Instruments: saved as they are, found from memory for a while, searched by the start of their names."""

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest

from db.database import Database
from db.instrument_catalog import PostgresInstrumentCatalog
from domain.reading import PageRequest
from domain.values import Instrument

CACHE_SECONDS = 5.0
APPLE = Instrument(
    isin="US0378331005",
    symbol="AAPL",
    name="Apple Inc.",
    currency="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
    tradable=True,
)
SAP = replace(APPLE, isin="DE0007164600", symbol="SAP", name="SAP SE", currency="EUR")
AIRBUS = replace(APPLE, isin="NL0000235190", symbol="AIR", name="Airbus 100%", currency="EUR")


@dataclass(slots=True)
class Seconds:
    """A monotonic clock that a test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """The catalog's clock."""
    return Seconds()


@pytest.fixture
def catalog(database: Database, seconds: Seconds) -> PostgresInstrumentCatalog:
    """The catalog under test."""
    return PostgresInstrumentCatalog(database, cache_seconds=CACHE_SECONDS, clock=seconds)


async def test_saving_tells_how_many_differ(catalog: PostgresInstrumentCatalog) -> None:
    assert await catalog.save([APPLE, SAP]) == 2
    assert await catalog.save([APPLE, replace(SAP, tick_size=Decimal("0.0100"))]) == 0
    assert await catalog.save([replace(APPLE, tradable=False), SAP, AIRBUS]) == 2
    assert await catalog.save([]) == 0
    assert await catalog.find(APPLE.isin) == replace(APPLE, tradable=False)


async def test_what_was_found_is_remembered_for_a_while(
    catalog: PostgresInstrumentCatalog, seconds: Seconds, database: Database
) -> None:
    await catalog.save([APPLE])
    await catalog.find(APPLE.isin)
    await database.fetch("UPDATE instruments SET tradable = false")

    before = await catalog.find(APPLE.isin)
    seconds.now = CACHE_SECONDS
    after = await catalog.find(APPLE.isin)

    assert before == APPLE
    assert after == replace(APPLE, tradable=False)


async def test_what_is_saved_here_is_seen_here_at_once(catalog: PostgresInstrumentCatalog) -> None:
    await catalog.save([APPLE])
    await catalog.find(APPLE.isin)

    await catalog.save([replace(APPLE, tradable=False)])

    assert await catalog.find(APPLE.isin) == replace(APPLE, tradable=False)


async def test_an_unknown_instrument_is_looked_for_each_time(catalog: PostgresInstrumentCatalog) -> None:
    assert await catalog.find(APPLE.isin) is None
    await catalog.save([APPLE])

    assert await asyncio.gather(*(catalog.find(APPLE.isin) for _ in range(20))) == [APPLE] * 20
    assert await catalog.find_many([APPLE.isin, SAP.isin]) == {APPLE.isin: APPLE}


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (None, [SAP, AIRBUS, APPLE]),
        ("a", [AIRBUS, APPLE]),
        ("aapl", [APPLE]),
        ("us03", [APPLE]),
        ("AIRBUS 100%", [AIRBUS]),
        ("%", []),
        ("pple", []),
    ],
)
async def test_a_search_matches_the_start_of_isin_symbol_or_name(
    catalog: PostgresInstrumentCatalog, search: str | None, found: list[Instrument]
) -> None:
    await catalog.save([APPLE, SAP, AIRBUS])

    page = await catalog.page(PageRequest(limit=10), search=search)

    assert list(page.rows) == found


async def test_instruments_are_paged_by_isin(catalog: PostgresInstrumentCatalog) -> None:
    await catalog.save([APPLE, SAP, AIRBUS])

    first = await catalog.page(PageRequest(limit=2), search=None)
    second = await catalog.page(PageRequest(limit=2, after=AIRBUS.isin), search=None)
    last = await catalog.page(PageRequest(limit=1, before=APPLE.isin, backwards=True), search=None)

    assert (list(first.rows), first.has_next) == ([SAP, AIRBUS], True)
    assert (list(second.rows), second.has_next, second.has_previous) == ([APPLE], False, True)
    assert (list(last.rows), last.has_previous, last.has_next) == ([AIRBUS], True, True)
