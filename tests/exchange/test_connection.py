"""One connection to the venue: with any bytes, in any segments, no answer is matched with another request."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
import uvloop
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ports.venue_outcomes import Placed
from exchange.alpaca.connection import VenueConnection
from exchange.alpaca.http_answer import AnswerLostError, AnswerTooLargeError, HttpAnswer
from tests.exchange.test_transport import NAME, ORDER, TERMS, answering, reaching, serving
from tests.exchange.test_transport import settings as settings_of

PLAIN = b'HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 08:00:00 GMT\r\nX-Other: 1\r\nContent-Length: 8\r\n\r\n{"a": 1}'
CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n'
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\nX-RateLimit-Reset: 7\r\n\r\n"
LAST = b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 8\r\n\r\n{"a": 1}'
ANSWERS = {
    PLAIN: HttpAnswer(status=200, body=b'{"a": 1}', headers={"date": "Mon, 05 Jan 2026 08:00:00 GMT"}),
    CHUNKED: HttpAnswer(status=200, body=b'{"a": 1}', headers={}),
    EARLY_HINTS + PLAIN: HttpAnswer(status=200, body=b'{"a": 1}', headers={"date": "Mon, 05 Jan 2026 08:00:00 GMT"}),
    EMPTY: HttpAnswer(status=204, body=b"", headers={"x-ratelimit-reset": "7"}),
    LAST: HttpAnswer(status=200, body=b'{"a": 1}', headers={}),
}


class Wire(asyncio.Transport):
    """The other side of a connection: what was written to it, and whether it was cut."""

    def __init__(self, connection: VenueConnection) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_cut = False
        self.write_error: Exception | None = None
        self._connection = connection
        connection.connection_made(self)

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        if self.write_error is not None:
            raise self.write_error
        self.written.append(data)

    def abort(self) -> None:
        if not self.is_cut:
            self.is_cut = True
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)


def connected() -> tuple[VenueConnection, Wire]:
    connection = VenueConnection()
    return connection, Wire(connection)


async def asking(
    connection: VenueConnection, *, seconds: float = 5.0, max_bytes: int = 1_000
) -> asyncio.Task[HttpAnswer]:
    """Start a request."""
    until = asyncio.get_running_loop().time() + seconds
    task = asyncio.create_task(connection.exchange(b"GET", until=until, answer_max_bytes=max_bytes))
    await asyncio.sleep(0)
    return task


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return the bytes, cut at these positions."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


@settings(max_examples=200, deadline=None)
@given(answers=st.lists(st.sampled_from(list(ANSWERS)), min_size=1, max_size=4), cuts=st.lists(st.integers(0, 500)))
def test_answers_are_read_in_any_pieces(answers: list[bytes], cuts: list[int]) -> None:
    async def run() -> None:
        connection, _ = connected()
        for data in answers:
            if not connection.is_open:
                break
            task = await asking(connection)
            for piece in pieces_of(data, cuts):
                connection.data_received(piece)
            assert await task == ANSWERS[data]
            assert connection.is_open == (data != LAST)

    asyncio.run(run())


@settings(max_examples=200, deadline=None)
@given(junk=st.binary(max_size=60), cuts=st.lists(st.integers(0, 100)), good=st.sampled_from(list(ANSWERS)))
def test_bytes_after_an_answer_never_reach_the_next_request(junk: bytes, cuts: list[int], good: bytes) -> None:
    async def run() -> None:
        connection, wire = connected()
        task = await asking(connection)
        for piece in pieces_of(good + junk, cuts):
            connection.data_received(piece)
        assert await task == ANSWERS[good]
        # A line end between two answers is allowed by HTTP, and nothing else.
        assert wire.is_cut or not junk.strip(b"\r\n")

    asyncio.run(run())


@pytest.mark.parametrize("extra", [PLAIN, EARLY_HINTS, PLAIN[:3]])
async def test_a_second_answer_closes_the_connection(extra: bytes) -> None:
    connection, wire = connected()
    task = await asking(connection)

    connection.data_received(PLAIN + extra)

    assert await task == ANSWERS[PLAIN]
    assert wire.is_cut
    assert not connection.is_open


async def test_unsolicited_bytes_close_the_connection() -> None:
    connection, wire = connected()

    connection.data_received(PLAIN)

    assert wire.is_cut


async def test_the_late_answer_of_a_canceled_request_reaches_no_other() -> None:
    connection, wire = connected()
    given_up = await asking(connection)

    given_up.cancel()
    with suppress(asyncio.CancelledError):
        await given_up

    assert wire.is_cut
    assert not connection.is_open


async def test_an_answer_that_does_not_arrive_in_time_is_lost_with_its_connection() -> None:
    connection, wire = connected()

    with pytest.raises(AnswerLostError, match="time"):
        await (await asking(connection, seconds=0.0))

    assert wire.is_cut
    assert not connection.was_over


async def test_a_request_that_cannot_be_written_does_not_affect_the_next() -> None:
    connection, wire = connected()
    wire.write_error = RuntimeError("closed")
    until = asyncio.get_running_loop().time() + 0.05

    with pytest.raises(RuntimeError):
        await connection.exchange(b"GET", until=until, answer_max_bytes=1_000)

    assert wire.is_cut
    assert not connection.is_open


async def test_an_answer_may_not_have_more_bytes_than_allowed() -> None:
    connection, wire = connected()
    task = await asking(connection, max_bytes=len(PLAIN) - 1)

    connection.data_received(PLAIN)

    with pytest.raises(AnswerTooLargeError):
        await task
    assert wire.is_cut


@pytest.mark.parametrize(
    "data", [b"\x00 not http", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"]
)
async def test_what_is_no_answer_closes_the_connection(data: bytes) -> None:
    connection, wire = connected()
    task = await asking(connection)

    connection.data_received(data)

    with pytest.raises(AnswerLostError):
        await task
    assert wire.is_cut


@pytest.mark.parametrize(("answered", "came", "was_over"), [(1, b"", True), (0, b"", False), (1, b"HTTP", False)])
async def test_only_a_reused_connection_that_ends_without_a_byte_was_closed_before(
    answered: int, came: bytes, was_over: bool
) -> None:
    connection, _ = connected()
    for _ in range(answered):
        task = await asking(connection)
        connection.data_received(PLAIN)
        await task
    task = await asking(connection)
    if came:
        connection.data_received(came)

    connection.connection_lost(None)

    with pytest.raises(AnswerLostError):
        await task
    assert connection.was_over == was_over


async def test_a_look_up_is_repeated_where_a_reused_connection_is_closed_and_a_new_one_is_made() -> None:
    requests = 0

    async def answer_once_and_drop(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        if requests == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(ORDER)

    async with serving(answer_once_and_drop) as url, reaching(settings_of(url)) as venue:
        first = await venue.find(NAME)
        second = await venue.find(NAME)

    assert first == second is not None
    assert requests == 3


def test_it_works_on_the_loop_that_the_processes_run_on() -> None:
    async def place_twice() -> None:
        async with serving(answering(lambda: web.json_response(ORDER))) as url, reaching(settings_of(url)) as venue:
            outcomes = [await venue.submit(NAME, TERMS) for _ in range(2)]
        assert all(isinstance(outcome, Placed) for outcome in outcomes)

    uvloop.run(place_twice())
