"""An instrument catalog in memory."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from domain.model.order_query import Page, PageRequest
from domain.model.values import Instrument
from tests.support.fakes.paging import cut


@dataclass(slots=True)
class MemoryInstrumentCatalog:
    """InstrumentCatalog. `batches` records which instruments were read together."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    batches: list[frozenset[str]] = field(default_factory=list)

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
        return cut(rows, request, key=_isin)

    async def save(self, instruments: Sequence[Instrument]) -> int:
        differing = {one.isin: one for one in instruments if self.instruments.get(one.isin) != one}
        self.instruments |= differing
        return len(differing)


def _isin(instrument: Instrument | str) -> str:
    return instrument if isinstance(instrument, str) else instrument.isin
