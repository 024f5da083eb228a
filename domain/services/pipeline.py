"""Batches of one stream in a line: while one is written the next one is decided, as if the first were written already.

What a batch makes of its orders is expected, and no more, until it is written. The batch behind is decided on that,
waits for its turn, and is decided again when it did not come true. So it never writes what rests on something that
was not written.
"""

import asyncio
from collections.abc import Mapping
from uuid import UUID

from domain.model.errors import VersionConflictError
from domain.ports.order_store import LoadedOrder

ROUNDS_UNTIL_SENT = 2
"""In the first round of the event loop the batch behind wakes up, in the second its statement is sent. Whoever works
before that lets the database wait, which was half of its time."""


class PipelineTicket:
    """One batch's place in the line."""

    def __init__(self, before: "PipelineTicket | None" = None) -> None:
        self._before = before
        self.expectation: Mapping[UUID, LoadedOrder] | None = None
        self.prediction_held = False
        self._is_decided = asyncio.Event()
        self._is_over = asyncio.Event()
        self._is_first_word = True

    def behind(self) -> "PipelineTicket":
        """The place right behind this one."""
        return PipelineTicket(self)

    def expected(self, order_id: UUID) -> LoadedOrder | None:
        """The order as it will be once the batch before is written, if it is in that batch."""
        if self._before is None or self._before.expectation is None:
            return None
        return self._before.expectation.get(order_id)

    def expect(self, rows: Mapping[UUID, LoadedOrder]) -> None:
        """Let the batch behind know what this one makes of its orders. The first word holds, for that is acted on."""
        if self.expectation is None:
            self.expectation = rows
        self._is_first_word = rows is self.expectation
        self._is_decided.set()

    async def written(self) -> None:
        """The batch is written: let the one behind write at once, before anything is made of this one's outcome."""
        self.prediction_held = self._is_first_word
        self.end()
        for _ in range(ROUNDS_UNTIL_SENT):
            await asyncio.sleep(0)

    async def may_be_decided(self) -> None:
        """Wait until it is known what to expect of the batch before."""
        if self._before is not None:
            await self._before.decided()

    async def comes(self) -> None:
        """Wait until the batch before is done with. Then nothing is expected of it any more: what it wrote is stored.

        Raises VersionConflictError, once, when that is not what it let expect.
        """
        if self._before is None:
            return
        before, self._before = self._before, None
        await before.over()
        if before.expectation is not None and not before.prediction_held:
            raise VersionConflictError

    def end(self) -> None:
        """Be done with, however it went. Batches that wrote nothing, and never waited, would hold those before them."""
        self._before = None
        self._is_decided.set()
        self._is_over.set()

    async def decided(self) -> None:
        """Wait until it is known what the batch makes of its orders."""
        await self._is_decided.wait()

    async def over(self) -> None:
        """Wait until the batch is done with."""
        await self._is_over.wait()
