"""One connection to the venue's REST interface: a request is sent, its whole answer is read, then the next one may
follow.

An answer must never be matched with another request. So a connection is closed on anything unexpected: an answer that
no request waits for, an additional byte, a canceled request. See docs/decisions/0016.
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
    """Made by `loop.create_connection`. Its owner sets `idle_since`, by the loop's clock."""

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
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only.
        self.is_open = True

    async def exchange(self, request: bytes, *, until: float, answer_max_bytes: int) -> HttpAnswer:
        """Send the whole request and read its answer to the end, which must arrive by that time of the loop's clock.

        Raises AnswerLostError. A cancelled call closes the connection.
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
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self._lose(AnswerTooLargeError("the answer has more bytes than the settings allow"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._lose(AnswerLostError(f"what came is no answer: {error!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the current request. An answer that only the connection's end would complete counts as lost, too."""
        if self._is_waiting and self._is_silent and self._has_answered:
            self.was_over = True
        self._lose(AnswerLostError("the connection ended before the answer did" if exc is None else str(exc)))

    def on_message_begin(self) -> None:
        """Begin an answer. One after the requested answer is unexpected."""
        if not self._is_waiting:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header."""
        kept = _KEPT_HEADERS.get(name.lower())
        if kept is not None:
            self._headers[kept] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Store a part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Complete the answer; one below 200 only announces the answer."""
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
