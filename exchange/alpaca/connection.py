"""One connection to the venue's REST interface: a request goes out, its whole answer comes in, then the next one may.

What must never happen is that an answer is taken for another request's. So a connection is closed as soon as anything
is not as it should be: an answer that nobody waits for (any more), a byte too many, a request that was given up.
See docs/decisions/0016.
"""

import asyncio
from typing import cast

import httptools

from exchange.alpaca.http_answer import OK, AnswerLostError, AnswerTooLargeError, HttpAnswer

_KEPT_HEADERS = {
    name.encode(): name
    for name in ("date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
}


class VenueConnection(asyncio.Protocol):
    """Made by `loop.create_connection`. Whoever keeps it notes `idle_since`, by the loop's clock."""

    idle_since = 0.0
    is_open = False
    was_over = False
    """Whether it had ended before the last request could reach anybody: it had answered one, and to this one nothing
    came at all."""

    _transport: asyncio.Transport
    _parser: httptools.HttpResponseParser
    _answer: asyncio.Future[HttpAnswer] | None = None
    _bytes_left = 0
    _has_answered = False
    _is_silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only.
        self.is_open = True

    async def exchange(self, request: bytes, *, until: float, answer_max_bytes: int) -> HttpAnswer:
        """Send the whole request and read its answer to the end, which must come by then, by the loop's clock.

        Raises AnswerLostError. A caller who is cancelled leaves a closed connection behind.
        """
        loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._bytes_left = answer_max_bytes
        self._is_silent = True
        self._start_message()
        self._answer = loop.create_future()
        # A timer, and not asyncio.timeout, which costs five times as much.
        too_late = loop.call_at(until, self._lose, AnswerLostError("no answer in time"))
        try:
            self._transport.write(request)
            return await self._answer
        except BaseException:
            # Its answer may still come: nobody else may get it.
            self.close()
            raise
        finally:
            too_late.cancel()
            self._answer = None

    def close(self) -> None:
        """Close it at once."""
        self.is_open = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if not self._is_waiting:
            self.close()
            return
        self._is_silent = False
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._lose(AnswerTooLargeError("the answer has more bytes than the settings allow"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._lose(AnswerLostError(f"what came is no answer: {error!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended. An answer that only its end could end is as lost as one that was cut."""
        if self._is_waiting and self._is_silent and self._has_answered:
            self.was_over = True
        self._lose(AnswerLostError("the connection ended before the answer did" if exc is None else str(exc)))

    def on_message_begin(self) -> None:
        """An answer begins. One behind the answer that was asked for is a byte too many."""
        if not self._is_waiting:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header has come."""
        kept = _KEPT_HEADERS.get(name.lower())
        if kept is not None:
            self._headers[kept] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """A part of the body has come."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """The answer is there; one below 200 says only that the answer will come."""
        status = self._parser.get_status_code()
        if status < OK:
            self._start_message()
            return
        if not self._parser.should_keep_alive():
            self.close()
        self._has_answered = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(HttpAnswer(status=status, body=b"".join(self._parts), headers=self._headers))

    @property
    def _is_waiting(self) -> bool:
        return self._answer is not None and not self._answer.done()

    def _start_message(self) -> None:
        self._parts: list[bytes] = []
        self._headers: dict[str, str] = {}

    def _lose(self, error: AnswerLostError) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
