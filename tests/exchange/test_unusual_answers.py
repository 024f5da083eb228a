"""Answers that are rare but clear are read; all others close their connection, and prove nothing. Over real sockets."""

import gzip
import json

import pytest

from domain.ports.venue_outcomes import OutcomeUnknown, Placed, Rejected, SubmissionOutcome
from exchange.alpaca.answer_reader import HEAD_MAX_BYTES
from tests.exchange.test_transport import NAME, ORDER, TERMS, reaching, settings
from tests.support.raw_venue import RawAnswer, RawVenue, raw_venue

BODY = json.dumps(ORDER).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
OK = b"HTTP/1.1 200 OK\r\n"
ZIPPED = gzip.compress(BODY)
TWO_MEMBERS = gzip.compress(BODY[:20]) + gzip.compress(BODY[20:])
MANY_MEMBERS = ZIPPED + gzip.compress(b"") * 100
CHUNKS = b"5;name=value\r\n%s\r\n%x\r\n%s\r\n0\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])
REFUSAL = b'{"code": 40010001, "message": "quantity must be larger"}'

KEPT = {
    "100 Continue and 103 before it": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    + OK
    + LENGTH
    + b"\r\n"
    + BODY,
    "100 Continue with a length before one with two": b"HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\n"
    + OK
    + LENGTH
    + LENGTH
    + b"\r\n"
    + BODY,
    "equal lengths": OK + LENGTH + b"X-Other: 1\r\n" + LENGTH.upper() + b"\r\n" + BODY,
    "a list of equal lengths": OK + b"Content-Length: %d, %d\r\n\r\n%s" % (len(BODY), len(BODY), BODY),
    "gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(ZIPPED), ZIPPED),
    "gzip of two members": OK
    + b"content-encoding: X-GZIP\r\ncontent-length: %d\r\n\r\n%s" % (len(TWO_MEMBERS), TWO_MEMBERS),
    "identity": OK + b"Content-Encoding: identity\r\n" + LENGTH + b"\r\n" + BODY,
    "a byte order mark": OK + b"Content-Length: %d\r\n\r\n\xef\xbb\xbf%s" % (len(BODY) + 3, BODY),
    "chunks with extensions and trailers": OK
    + b"Transfer-Encoding: Chunked\r\n\r\n"
    + CHUNKS
    + b"X-Ratelimit-Limit: 3\r\nDate: never\r\n\r\n",
    "HTTP/1.0 that is kept": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH + b"\r\n" + BODY,
    "no reason": b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\n" + BODY,
}
NOT_KEPT = {
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "a connection that the venue ends": OK + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY,
    "a byte behind it": OK + LENGTH + b"\r\n" + BODY + b"H",
    "an answer behind it": OK + LENGTH + b"\r\n" + BODY + b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n",
}
UNTIL_THE_END = {
    "HTTP/1.1": OK + b"\r\n" + BODY,
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY,
    "gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + ZIPPED,
    "connection: keep-alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n" + BODY,
}
REFUSED = {
    "lengths that differ": OK + LENGTH + b"Content-Length: 2\r\n\r\n" + BODY,
    "a list of lengths that differ": OK + b"Content-Length: %d, 2\r\n\r\n%s" % (len(BODY), BODY),
    "a list with a hole": OK + b"Content-Length: %d,\r\n\r\n%s" % (len(BODY), BODY),
    "a signed length": OK + b"Content-Length: +%d\r\n\r\n%s" % (len(BODY), BODY),
    "a length and chunks": OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n",
    "lengths and chunks": OK + LENGTH + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n",
    "chunks and a length": OK + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + CHUNKS + b"\r\n",
    "chunks twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n",
    "chunks of HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS + b"\r\n",
    "another transfer encoding": OK + b"Transfer-Encoding: gzip\r\n\r\n" + ZIPPED,
    "chunked that is not the last": OK + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS + b"\r\n",
    "a chunk that is longer than it says": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n" + BODY + b"\r\n0\r\n\r\n",
    "a length behind the chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS + LENGTH + b"\r\n",
    "an encoding that we do not know": OK + b"Content-Encoding: br\r\n" + LENGTH + b"\r\n" + BODY,
    "an encoding twice": OK + b"Content-Encoding: gzip, gzip\r\n" + LENGTH + b"\r\n" + BODY,
    "what is no gzip": OK + b"Content-Encoding: gzip\r\n" + LENGTH + b"\r\n" + BODY,
    "gzip that is cut off": OK + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n" + ZIPPED[:9],
    "junk behind gzip": OK
    + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(ZIPPED) + 3, ZIPPED + b"abc"),
    "HTTP/2": b"HTTP/2.0 200 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "HTTP/0.9": BODY,
    "a status below 100": b"HTTP/1.1 099 No\r\n" + LENGTH + b"\r\n" + BODY,
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n" + LENGTH + b"\r\n" + BODY,
    "another protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    + OK
    + LENGTH
    + b"\r\n"
    + BODY,
    "lines that end without CR": b"HTTP/1.1 200 OK\nContent-Length: %d\n\n%s" % (len(BODY), BODY),
    "a space before the colon": OK + b"Content-Length : %d\r\n\r\n%s" % (len(BODY), BODY),
    "a header that goes on in the next line": OK + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "a line before it": b"\r\n" + OK + LENGTH + b"\r\n" + BODY,
    "announcements without an end": b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + OK + LENGTH + b"\r\n" + BODY,
    "gzip of very many members": OK
    + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(MANY_MEMBERS), MANY_MEMBERS),
    "a head without an end": OK + b"X: " + b"x" * HEAD_MAX_BYTES,
}


async def placed_twice(answer: bytes, *, ends: bool = False) -> tuple[list[SubmissionOutcome], RawVenue]:
    """Return the outcomes of two submissions at a venue that answers each so, and the venue."""
    pieces = [answer[at : at + 7] for at in range(0, len(answer), 7)] if len(answer) < 1_000 else [answer]
    async with (
        raw_venue(lambda _number, _request: RawAnswer(pieces=pieces, ends=ends)) as server,
        reaching(settings(f"http://127.0.0.1:{server.port}")) as venue,
    ):
        return [await venue.submit(NAME, TERMS) for _ in range(2)], server


@pytest.mark.parametrize("answer", KEPT.values(), ids=KEPT)
async def test_a_rare_but_clear_answer_places_the_order_and_keeps_its_connection(answer: bytes) -> None:
    outcomes, server = await placed_twice(answer)

    assert [type(outcome) for outcome in outcomes] == [Placed, Placed]
    assert server.connections == 1


@pytest.mark.parametrize("answer", NOT_KEPT.values(), ids=NOT_KEPT)
async def test_an_answer_behind_which_nothing_is_certain_places_the_order_and_closes_its_connection(
    answer: bytes,
) -> None:
    outcomes, server = await placed_twice(answer)

    assert [type(outcome) for outcome in outcomes] == [Placed, Placed]
    assert server.connections == 2


@pytest.mark.parametrize("answer", UNTIL_THE_END.values(), ids=UNTIL_THE_END)
async def test_an_answer_may_go_until_the_end_of_its_connection(answer: bytes) -> None:
    outcomes, server = await placed_twice(answer, ends=True)

    assert [type(outcome) for outcome in outcomes] == [Placed, Placed]
    assert server.connections == 2


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
async def test_an_answer_that_could_be_read_in_two_ways_proves_nothing_and_closes_its_connection(answer: bytes) -> None:
    outcomes, server = await placed_twice(answer)

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown]
    assert server.connections == 2


async def test_a_refusal_until_the_end_of_its_connection_refuses_the_order() -> None:
    outcomes, _ = await placed_twice(b"HTTP/1.1 422 No\r\n\r\n" + REFUSAL, ends=True)

    assert [type(outcome) for outcome in outcomes] == [Rejected, Rejected]


@pytest.mark.parametrize("cut", [1, len(BODY) // 2, len(BODY) - 1])
async def test_a_body_that_ends_too_early_proves_nothing(cut: int) -> None:
    for head in (OK, OK + LENGTH):
        outcomes, _ = await placed_twice(head + b"\r\n" + BODY[:cut], ends=True)

        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown]


async def test_a_small_answer_that_decompresses_to_a_large_one_proves_nothing() -> None:
    bomb = gzip.compress(b" " * 8 * 1024 * 1024)

    outcomes, _ = await placed_twice(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(bomb), bomb))

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown]


async def test_nothing_is_asked_to_be_compressed() -> None:
    _, server = await placed_twice(OK + LENGTH + b"\r\n" + BODY)

    assert b"\r\nAccept-Encoding: identity\r\n" in server.requests[0]


async def test_a_connection_is_not_kept_behind_a_success_that_names_no_order() -> None:
    """A second copy of a 204, or of a list, would be taken for the answer to the next request, and so on for good."""
    no_content = RawAnswer(pieces=[b"HTTP/1.1 204 No Content\r\n\r\n"])
    empty = RawAnswer(pieces=[OK + b"Content-Length: 2\r\n\r\n[]"])
    async with (
        raw_venue(lambda _, request: no_content if request.startswith(b"DELETE") else empty) as server,
        reaching(settings(f"http://127.0.0.1:{server.port}")) as venue,
    ):
        for _ in range(2):
            await venue.cancel("v1")
            await venue.open_orders()

    assert server.connections == 4
