"""InstrumentCatalog: saved unchanged, immediately visible to the same process, searched by the start of their names."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.model.order_query import PageRequest
from domain.model.values import Instrument
from domain.ports.readers import InstrumentCatalog
from tests.contracts.stores import Adapters
from tests.support.examples import an_instrument

APPLE = an_instrument()
SAP = replace(APPLE, isin="DE0007164600", symbol="SAP", name="SAP SE", currency="EUR")
AIRBUS = replace(APPLE, isin="NL0000235190", symbol="AIR", name="Airbus 100%", currency="EUR")


@pytest.fixture
def catalog(adapters: Adapters) -> InstrumentCatalog:
    """Return the catalog under test."""
    return adapters.catalog


async def test_saving_returns_how_many_differ(catalog: InstrumentCatalog) -> None:
    assert await catalog.save([APPLE, SAP]) == 2
    assert await catalog.save([APPLE, replace(SAP, tick_size=Decimal("0.0100"))]) == 0
    assert await catalog.save([replace(APPLE, tradable=False), SAP, AIRBUS]) == 2
    assert await catalog.save([]) == 0
    assert await catalog.find(APPLE.isin) == replace(APPLE, tradable=False)


async def test_of_a_repeated_instrument_the_last_is_saved(catalog: InstrumentCatalog) -> None:
    assert await catalog.save([APPLE, replace(APPLE, name="Apple")]) == 1

    assert await catalog.find(APPLE.isin) == replace(APPLE, name="Apple")


async def test_saved_values_are_visible_here_immediately(catalog: InstrumentCatalog) -> None:
    await catalog.save([APPLE])
    await catalog.find(APPLE.isin)

    await catalog.save([replace(APPLE, tradable=False)])

    assert await catalog.find(APPLE.isin) == replace(APPLE, tradable=False)


async def test_those_that_exist_are_found_together(catalog: InstrumentCatalog) -> None:
    assert await catalog.find(APPLE.isin) is None
    await catalog.save([APPLE, AIRBUS])

    assert await catalog.find_many([APPLE.isin, SAP.isin, AIRBUS.isin]) == {APPLE.isin: APPLE, AIRBUS.isin: AIRBUS}
    assert await catalog.find_many([]) == {}


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
    catalog: InstrumentCatalog, search: str | None, found: list[Instrument]
) -> None:
    await catalog.save([APPLE, SAP, AIRBUS])

    page = await catalog.page(PageRequest(limit=10), search=search)

    assert list(page.rows) == found


async def test_instruments_are_paged_by_isin(catalog: InstrumentCatalog) -> None:
    await catalog.save([APPLE, SAP, AIRBUS])

    first = await catalog.page(PageRequest(limit=2), search=None)
    second = await catalog.page(PageRequest(limit=2, after=AIRBUS.isin), search=None)
    last = await catalog.page(PageRequest(limit=1, before=APPLE.isin, backwards=True), search=None)

    assert (list(first.rows), first.has_next) == ([SAP, AIRBUS], True)
    assert (list(second.rows), second.has_next, second.has_previous) == ([APPLE], False, True)
    assert (list(last.rows), last.has_previous, last.has_next) == ([AIRBUS], True, True)
