"""The pipeline of batches of one stream: while one is written the next is decided, as if the first were stored already.

A batch predicts its orders after the write. The next batch is decided on that prediction, waits for its ticket, and is
decided again when the prediction did not hold. So no write is based on a row that was never stored.
"""

import asyncio
from collections.abc import Mapping

from domain.model.errors import VersionConflictError
from domain.ports.order_store import LoadedOrder

LOOP_ROUNDS_UNTIL_NEXT_WRITE = 2
"""In the first round of the event loop the next batch wakes up, in the second its statement is sent. Work done before
that keeps the database idle: half of its time, when it was measured."""


class PipelineTicket:
    """One batch's place in the pipeline: a WriteTicket that also carries the batch's prediction."""

    def __init__(self, previous: "PipelineTicket | None" = None) -> None:
        self._previous = previous
        self.prediction: Mapping[str, LoadedOrder] | None = None
        self.prediction_held = False
        self._is_predicted = asyncio.Event()
        self._is_ended = asyncio.Event()
        self._is_first_prediction = True

    def next_ticket(self) -> "PipelineTicket":
        """Return the ticket of the batch that follows this one."""
        return PipelineTicket(self)

    def predicted(self, venue_client_order_id: str) -> LoadedOrder | None:
        """Return the order as it will be once the previous batch is written; None if that batch does not write it."""
        if self._previous is None or self._previous.prediction is None:
            return None
        return self._previous.prediction.get(venue_client_order_id)

    def predict(self, rows: Mapping[str, LoadedOrder]) -> None:
        """Publish what this batch will make of its orders. The first prediction stays: the next batch acts on it."""
        if self.prediction is None:
            self.prediction = rows
        self._is_first_prediction = rows is self.prediction
        self._is_predicted.set()

    async def mark_written(self) -> None:
        """Let the next batch write immediately, before this one's outcome is processed."""
        self.prediction_held = self._is_first_prediction
        self.end()
        for _ in range(LOOP_ROUNDS_UNTIL_NEXT_WRITE):
            await asyncio.sleep(0)

    async def wait_until_predictable(self) -> None:
        """Wait until the previous batch has published its prediction, or has ended."""
        if self._previous is not None:
            await self._previous.wait_until_predicted()

    async def wait(self) -> None:
        """Wait until the previous batch has ended. Its prediction is not used after that: what it wrote is stored.

        Raises VersionConflictError, once, when its prediction did not hold.
        """
        if self._previous is None:
            return
        previous, self._previous = self._previous, None
        await previous.wait_until_ended()
        if previous.prediction is not None and not previous.prediction_held:
            raise VersionConflictError

    def end(self) -> None:
        """End the batch, written or not, and drop the previous ticket: batches that never wait would form a chain."""
        self._previous = None
        self._is_predicted.set()
        self._is_ended.set()

    async def wait_until_predicted(self) -> None:
        """Wait until the batch has published its prediction, or has ended."""
        await self._is_predicted.wait()

    async def wait_until_ended(self) -> None:
        """Wait until the batch has ended."""
        await self._is_ended.wait()
