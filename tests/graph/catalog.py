"""Three instruments and a catalog of them in memory."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from domain.reading import Page, PageRequest
from domain.values import Instrument
from tests.graph.paging import cut

APPLE = Instrument(
    isin="US0378331005",
    symbol="AAPL",
    name="Apple Inc.",
    currency="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
    tradable=True,
)
SAP = Instrument(
    isin="DE0007164600",
    symbol="SAP",
    name="SAP SE",
    currency="EUR",
    tick_size=Decimal("0.05"),
    lot_size=Decimal("0.5"),
    tradable=True,
)
HALTED = Instrument(
    isin="US5949181045",
    symbol="MSFT",
    name="Microsoft Corporation",
    currency="USD",
    tick_size=Decimal("0.01"),
    lot_size=Decimal(1),
    tradable=False,
)


class MemoryCatalog:
    """The instruments, and how often they were asked for."""

    def __init__(self, *instruments: Instrument) -> None:
        self._all = instruments
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.instruments = {instrument.isin: instrument for instrument in self._all}
        self.batches: list[frozenset[str]] = []

    async def find(self, isin: str) -> Instrument | None:
        return self.instruments.get(isin)

    async def find_many(self, isins: Collection[str]) -> Mapping[str, Instrument]:
        self.batches.append(frozenset(isins))
        return {isin: self.instruments[isin] for isin in isins if isin in self.instruments}

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[Instrument]:
        start = (search or "").lower()
        rows = [
            row
            for _, row in sorted(self.instruments.items())
            if any(text.lower().startswith(start) for text in (row.isin, row.symbol, row.name))
        ]
        return cut(rows, request, [row.isin for row in rows])

    async def save(self, instruments: Sequence[Instrument]) -> int:
        self.instruments.update({instrument.isin: instrument for instrument in instruments})
        return len(instruments)
