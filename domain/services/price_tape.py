"""The writer of last prices: it collects those that recording notes and writes the newest of each at intervals."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from domain.model.changes import RecordedChange
from domain.model.errors import TransientError
from domain.model.limits import LastPrice
from domain.model.values import ZERO
from domain.ports.telemetry import Telemetry
from domain.ports.trading_control import InstrumentPrices, PriceTape
from domain.services.decision import Decision


class PriceTapeWriter(PriceTape):
    """PriceTape that buffers the newest price of each instrument until it is written, so that recording never waits.

    A price that is not written yet when the process is killed is lost; the instrument's next execution replaces it.
    """

    def __init__(self, prices: InstrumentPrices, *, every_seconds: float, telemetry: Telemetry) -> None:
        self._prices = prices
        self._every_seconds = every_seconds
        self._telemetry = telemetry
        self._newest: dict[str, LastPrice] = {}

    def note(self, prices: Iterable[LastPrice]) -> None:
        for one in prices:
            known = self._newest.get(one.isin)
            if known is None or known.at < one.at:
                self._newest[one.isin] = one

    async def run(self) -> None:
        """Write every `every_seconds` until cancelled; then write once more."""
        failing = False
        while True:
            try:
                await asyncio.sleep(self._every_seconds)
            finally:
                failing = await self._write(failing=failing)

    async def _write(self, *, failing: bool) -> bool:
        newest, self._newest = self._newest, {}
        if not newest:
            return failing
        try:
            await self._prices.save(list(newest.values()))
        except TransientError as error:
            # Prices that were noted meanwhile are newer.
            self._newest = newest | self._newest
            if not failing:
                self._telemetry.warning("prices_not_saved", error=str(error), next="tried again until it succeeds")
            return True
        return False


def traded_prices(changes: Sequence[RecordedChange], decisions: Sequence[Decision]) -> Iterator[LastPrice]:
    """Yield the prices of the executions among the committed changes.

    A corrected price counts as of the time of the correction: it replaces the wrong one.
    """
    corrected = {
        execution.id: execution.correction.corrected_at
        for decision in decisions
        for execution in decision.applied.executions
        if execution.correction is not None
    }
    for change in changes:
        execution = change.execution
        if execution is not None and execution.price > ZERO:
            at = corrected.get(execution.id, execution.executed_at)
            yield LastPrice(isin=change.order.terms.isin, price=execution.price, at=at)
