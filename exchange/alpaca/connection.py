"""One connection to the venue's REST interface: a request is sent, its whole answer is read, then the next one may
follow.

An answer must never be matched with another request. So a connection is closed on anything unexpected: an answer that
no request waits for, an additional byte, a canceled request. See docs/decisions/0016.
"""

import asyncio
from typing import cast

from exchange.alpaca.answer_reader import AnswerReader
from exchange.alpaca.http_answer import AnswerLostError, HttpAnswer


class VenueConnection(asyncio.Protocol):
    """Made by `loop.create_connection`. Its owner sets `idle_since`, by the loop's clock."""

    idle_since = 0.0
    is_open = False
    was_over = False
    """Whether it had ended before the last request could reach anybody: it had answered one, and to this one nothing
    came at all."""

    _transport: asyncio.Transport
    _reader: AnswerReader
    _answer: asyncio.Future[HttpAnswer] | None = None
    _has_answered = False
    _is_silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only.
        self.is_open = True

    async def exchange(self, request: bytes, *, until: float, answer_max_bytes: int) -> HttpAnswer:
        """Send the whole request and read its answer to the end, which must arrive by that time of the loop's clock.

        Raises AnswerLostError. A cancelled call closes the connection.
        """
        loop = asyncio.get_running_loop()
        self._reader = AnswerReader(max_bytes=answer_max_bytes)
        self._is_silent = True
        self._answer = loop.create_future()
        # A timer, and not asyncio.timeout, which costs five times as much.
        too_late = loop.call_at(until, self._lose, AnswerLostError("no answer in time"))
        try:
            self._transport.write(request)
            return await self._answer
        except BaseException:
            # Its answer may still arrive: no other request may receive it.
            self.close()
            raise
        finally:
            too_late.cancel()
            self._answer = None

    def close(self) -> None:
        """Close it immediately."""
        self.is_open = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes."""
        if not self._is_waiting:
            self.close()
            return
        self._is_silent = False
        self._read(data)

    def eof_received(self) -> None:
        """Nothing more will come: of an answer without a length this is the end."""
        if self._is_waiting:
            self._read(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """End an answer that was not whole: the connection has ended."""
        if self._is_waiting and self._is_silent and self._has_answered:
            self.was_over = True
        self._lose(AnswerLostError("the connection ended before the answer did" if exc is None else str(exc)))

    def _read(self, data: bytes | None) -> None:
        """Read what has come, or the end."""
        reader = self._reader
        try:
            if data is None:
                reader.end()
            else:
                reader.feed(data)
        except AnswerLostError as error:
            self._lose(error)
            return
        if reader.answer is None:
            return
        self._has_answered = True
        if not reader.is_clean:
            self.close()
        if self._answer is not None:
            self._answer.set_result(reader.answer)

    @property
    def _is_waiting(self) -> bool:
        return self._answer is not None and not self._answer.done()

    def _lose(self, error: AnswerLostError) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
