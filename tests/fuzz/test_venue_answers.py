"""Whatever a venue sends, in whatever pieces: the client ends in time, and believes no answer of another request.

What comes before the next request goes out is looked at here; HTTP/1.1 has nothing that tells whose answer comes later.
"""

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from exchange.alpaca.http_answer import AnswerLostError, HttpAnswer, NotConnectedError
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.transport import Transport, open_transport
from tests.fuzz.cases import TIMEOUT_SECONDS, fuzz
from tests.support.raw_venue import RawAnswer, RawVenue, raw_venue

REQUEST_SECONDS = 0.15
HANGS_SECONDS = 20.0
"""Far longer than a request may take, for a machine that is busy."""
BODY_MAX_BYTES = 2_000
REQUESTS_MAX = 3
NAMES = [f"order-{number}" for number in range(REQUESTS_MAX)]
"""What the body of a request's own answers holds."""

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What is sent for one request, and how it is asked. `has_more`: there are bytes behind the answer."""

    sent: RawAnswer
    has_more: bool
    method: str
    is_named: bool


def mostly(usual: object, *rare: object) -> st.SearchStrategy[Any]:
    """Draw the usual value, or in one case of six one of the others."""
    return st.sampled_from([usual] * 5 * len(rare) + list(rare))


STATUS_LINES = mostly(
    b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 422 No", b"HTTP/1.1 204 No", b"HTTP/1.1 304 No", b"HTTP/1.1 99 ",
    b"HTTP/1.1 100 Go on", b"HTTP/1.1 101 Other", b"HTTP/2 200 OK", b"HTTP/1.1 600 ?", b"HTTP/1.1  200",
    b"HTP/1.1 200 OK",
)  # fmt: skip
HEADERS = st.sampled_from([
    b"Connection: close", b"Connection: keep-alive", b"Date: Mon, 05 Jan 2026 08:00:00 GMT", b"X-RateLimit-Limit: 200",
    b"Content-Length: 3", b"Content-Length: -1", b"Content-Length: 1, 1", b"Content-Length: 99999999999999999999999",
    b"Content-Length:", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Content-Encoding: gzip",
    b"Content-Encoding: br", b"Upgrade: h2c", b"Trailer: Date", b" folded", b"no colon", b"Content-Length : 3",
    b"X: \x00", b"\xff: \xff",
])  # fmt: skip
LINE_ENDS = mostly(b"\r\n", b"\n", b"\r", b"\r\n\r\n")


@st.composite
def bodies(draw: Draw, number: int) -> bytes:
    """Draw a body of that request's answer, another text, or much of it."""
    own = b'{"client_order_id":"%s"}' % NAMES[number].encode()
    return bytes(draw(mostly(own, b"{}", b"", b"\xef\xbb\xbf" + own, own * 100, b'{"code":40010001}')))


@st.composite
def framed(draw: Draw, number: int) -> tuple[list[bytes], bytes, str]:
    """Draw the headers that say where a body ends, its bytes, and which framing that is."""
    body = draw(bodies(number))
    headers = []
    if draw(mostly(False, True)):
        body = gzip.compress(body)
        headers.append(b"Content-Encoding: gzip")
    way = draw(mostly("length", "lengths", "list", "chunks", "end", "wrong"))
    match way:
        case "length":
            headers.append(b"Content-Length: %d" % len(body))
        case "lengths":
            headers += [b"Content-Length: %d" % len(body)] * 2
        case "list":
            headers.append(b"content-length: %d, %d" % (len(body), len(body)))
        case "chunks":
            headers.append(b"Transfer-Encoding: chunked")
            chunk = b"%x;x=y\r\n%s\r\n" % (len(body), body) if body else b""
            body = chunk + b"0\r\n" + draw(mostly(b"", b"Date: x\r\n", b"Content-Length: 3\r\n")) + b"\r\n"
        case "wrong":
            headers.append(b"Content-Length: %d" % (len(body) + draw(st.integers(-3, 3))))
    return headers, body, way


@st.composite
def answers(draw: Draw, number: int) -> tuple[bytes, bool]:
    """Draw an answer, or nearly one; and whether it ends before the connection does."""
    status, (headers, body, way) = draw(STATUS_LINES), draw(framed(number))
    odd = draw(st.lists(HEADERS, max_size=3)) if draw(mostly(False, True)) else []
    end = draw(LINE_ENDS)
    has_end = not odd and end == b"\r\n" and way not in {"end", "wrong"} and not status.startswith(b"HTTP/1.1 1")
    return end.join([status, *draw(st.permutations(headers + odd)), b"", b""]) + body, has_end


@st.composite
def sent_bytes(draw: Draw, number: int) -> tuple[bytes, bool]:
    """Answers that announce one, one, what is behind it; perhaps cut off, or with a wrong byte; or no HTTP at all.

    And whether there is something behind the answer.
    """
    if draw(mostly(False, True)) and draw(st.booleans()):
        return bytes(draw(st.binary(max_size=60))), False
    before = draw(
        mostly(b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nContent-Length: 7\r\n\r\n", b"\r\n")
    )
    answer, has_end = draw(answers(number))
    data = before + answer
    match draw(st.sampled_from(["as it is", "as it is", "again", "more", "cut", "wrong byte"])):
        case "again":
            return data + draw(answers(number))[0], has_end
        case "more":
            # A line's end between two answers is the one thing that HTTP lets pass.
            return data + b"x" + draw(st.binary(max_size=20)), has_end
        case "cut":
            return data[: draw(st.integers(0, len(data)))], False
        case "wrong byte":
            place = draw(st.integers(0, len(data) - 1))
            return data[:place] + draw(st.binary(min_size=1, max_size=1)) + data[place + 1 :], False
    return data, False


@st.composite
def scripts(draw: Draw, number: int) -> Script:
    """Draw what is sent for a request, in up to five pieces."""
    data, has_more = draw(sent_bytes(number))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    return Script(
        sent=RawAnswer(pieces=pieces, ends=draw(mostly(False, True))),
        has_more=has_more,
        method=draw(st.sampled_from(["POST", "GET", "DELETE"])),
        is_named=draw(mostly(True, False)),
    )


STORIES = st.integers(1, REQUESTS_MAX).flatmap(lambda count: st.tuples(*[scripts(number) for number in range(count)]))


async def ask(transport: Transport, script: Script, name: str) -> HttpAnswer | OSError:
    """Return the answer, or the error in its place, which must be one of those that are documented."""
    try:
        async with asyncio.timeout(HANGS_SECONDS):
            return await transport.send(
                script.method, f"/{name}", body={"name": name}, names=name if script.is_named else None
            )
    except (AnswerLostError, NotConnectedError) as error:
        return error


def may_be_kept(script: Script, result: HttpAnswer | OSError, name: str) -> bool:
    """Whether the connection may serve another request."""
    if isinstance(result, OSError) or script.has_more or not script.is_named:
        return False
    return result.is_success and name.encode() in result.body


async def tell(venue: RawVenue, scripted: list[Script], transport: Transport) -> None:
    """Ask one request after the other, and check each."""
    is_kept = True
    for script, name in zip(scripted, NAMES, strict=False):
        before = venue.connections
        result = await ask(transport, script, name)
        await venue.rest()
        if isinstance(result, HttpAnswer):
            assert len(result.body) <= BODY_MAX_BYTES
            assert not [other for other in NAMES if other != name and other.encode() in result.body]
        assert is_kept or venue.connections > before
        is_kept = may_be_kept(script, result, name)


@pytest.mark.timeout(TIMEOUT_SECONDS)
def test_whatever_a_venue_sends_no_answer_is_taken_for_another_ones() -> None:
    @fuzz
    @given(story=STORIES)
    def ask_all(story: tuple[Script, ...]) -> None:
        runner.run(run(list(story)))

    async def run(story: list[Script]) -> None:
        def answer(_: int, request: bytes) -> RawAnswer:
            return story[int(request.partition(b"/order-")[2][:1])].sent

        async with raw_venue(answer, idle_seconds=REQUEST_SECONDS / 50) as venue:
            settings = AlpacaSettings(
                url=f"http://127.0.0.1:{venue.port}",
                stream_url="",
                key="k",
                secret="s",
                request_timeout_seconds=REQUEST_SECONDS,
                response_max_bytes=BODY_MAX_BYTES,
            )
            async with open_transport(settings) as transport:
                await tell(venue, story, transport)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ask_all()
