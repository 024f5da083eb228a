"""What the adapter concludes from a venue that misbehaves on the wire, against a real server on this machine."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from aiohttp import web

from domain.model.errors import VenueUnreachableError
from domain.model.values import OrderType, Side, Terms, TimeInForce
from domain.ports.venue import ExternalOrder, UnreadableOrder
from domain.ports.venue_outcomes import (
    CancelUnknown,
    NotSent,
    OutcomeUnknown,
    Placed,
    RateLimited,
    Rejected,
    SubmissionOutcome,
    Unauthorized,
)
from exchange.alpaca.rest import AlpacaVenue, open_alpaca_venue
from exchange.alpaca.settings import AlpacaSettings
from tests.support.fakes.installation import FixedInstallation
from tests.support.fakes.telemetry import RecordingTelemetry

NAME = "01890a5d-ac96-774b-bcce-b302099a8057"
TERMS = Terms(
    client_order_id="mine",
    isin="US0378331005",
    symbol="AAPL",
    side=Side.BUY,
    type=OrderType.MARKET,
    time_in_force=TimeInForce.DAY,
    quantity=Decimal(1),
    limit_price=None,
)
ORDER: dict[str, object] = {
    "id": "v1",
    "client_order_id": NAME,
    "status": "new",
    "submitted_at": "2026-01-05T08:00:00Z",
    "symbol": "AAPL",
    "qty": "1",
    "filled_qty": "0",
    "type": "market",
    "side": "buy",
    "time_in_force": "day",
}
NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def settings(url: str) -> AlpacaSettings:
    return AlpacaSettings(
        url=url, stream_url="", key="k", secret="s", connect_timeout_seconds=1, request_timeout_seconds=3
    )


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def reaching(used: AlpacaSettings, *, telemetry: RecordingTelemetry | None = None) -> AsyncIterator[AlpacaVenue]:
    async with open_alpaca_venue(
        used, installation=FixedInstallation(), clock=lambda: NOW, telemetry=telemetry or RecordingTelemetry()
    ) as venue:
        yield venue


async def placed_at(handler: Handler) -> SubmissionOutcome:
    async with serving(handler) as url, reaching(settings(url)) as venue:
        return await venue.submit(NAME, TERMS)


def answering(response: Callable[[], web.Response]) -> Handler:
    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return response()

    return answer


async def drop(request: web.BaseRequest) -> web.StreamResponse:
    """Accept the request and close the connection without an answer."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_good_answer_places_the_order_with_the_key_in_the_headers() -> None:
    seen: list[tuple[str, str | None, bytes]] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.path, request.headers.get("APCA-API-KEY-ID"), await request.read()))
        return web.json_response(ORDER)

    outcome = await placed_at(answer)

    assert isinstance(outcome, Placed)
    [(path, key, body)] = seen
    assert (path, key) == ("/v2/orders", "k")
    assert NAME.encode() in body


async def test_a_refused_port_proves_that_nothing_was_sent() -> None:
    async with reaching(settings(f"http://127.0.0.1:{free_port()}")) as venue:
        assert isinstance(await venue.submit(NAME, TERMS), NotSent)
        assert isinstance(await venue.cancel("v1"), CancelUnknown)
        with pytest.raises(VenueUnreachableError):
            await venue.find(NAME)


async def test_a_name_that_does_not_resolve_proves_that_nothing_was_sent() -> None:
    async with reaching(settings("http://venue.invalid")) as venue:
        assert isinstance(await venue.submit(NAME, TERMS), NotSent)


async def test_a_failed_tls_handshake_proves_that_nothing_was_sent() -> None:
    async with serving(answering(web.Response)) as url, reaching(settings(url.replace("http", "https"))) as venue:
        assert isinstance(await venue.submit(NAME, TERMS), NotSent)


async def test_a_connection_that_is_not_taken_in_time_proves_that_nothing_was_sent() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        # Fill the accept queue, so that the next connection is not even answered.
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            quick = replace(settings(f"http://127.0.0.1:{port}"), connect_timeout_seconds=0.2)
            async with reaching(quick) as venue:
                assert isinstance(await venue.submit(NAME, TERMS), NotSent)
        finally:
            for each in waiting:
                each.close()


async def test_an_order_that_got_no_connection_from_the_pool_in_time_was_not_sent() -> None:
    never, first_came = asyncio.Event(), asyncio.Event()

    async def hold(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        first_came.set()
        await never.wait()
        return web.Response()

    async with serving(hold) as url:
        narrow = replace(settings(url), connections_max=1, connect_timeout_seconds=0.2, request_timeout_seconds=1)
        async with reaching(narrow) as venue, asyncio.TaskGroup() as tasks:
            first = tasks.create_task(venue.submit(NAME, TERMS))
            await asyncio.wait_for(first_came.wait(), timeout=5)
            second = tasks.create_task(venue.submit(NAME, TERMS))
        assert isinstance(first.result(), OutcomeUnknown)
        assert isinstance(second.result(), NotSent)


async def test_a_connection_dropped_after_the_request_proves_nothing() -> None:
    assert isinstance(await placed_at(drop), OutcomeUnknown)


async def test_a_placement_is_sent_once_also_on_a_reused_connection_that_is_dropped() -> None:
    requests = 0

    async def answer_then_drop(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        return web.json_response(ORDER) if requests == 1 else await drop(request)

    async with serving(answer_then_drop) as url, reaching(settings(url)) as venue:
        assert isinstance(await venue.submit(NAME, TERMS), Placed)
        assert isinstance(await venue.submit(NAME, TERMS), OutcomeUnknown)

    assert requests == 2


async def test_an_answer_that_arrives_too_late_proves_nothing() -> None:
    never = asyncio.Event()

    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        await never.wait()
        return web.Response()

    async with serving(hang) as url, reaching(replace(settings(url), request_timeout_seconds=0.2)) as venue:
        assert isinstance(await venue.submit(NAME, TERMS), OutcomeUnknown)


async def test_an_answer_cut_in_the_middle_proves_nothing() -> None:
    async def half(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"id":')
        assert request.transport is not None
        request.transport.abort()
        return response

    assert isinstance(await placed_at(half), OutcomeUnknown)


async def test_an_answer_larger_than_allowed_proves_nothing() -> None:
    large = answering(lambda: web.json_response(ORDER | {"x": "y" * 10_000}))
    async with serving(large) as url, reaching(replace(settings(url), response_max_bytes=1_000)) as venue:
        assert isinstance(await venue.submit(NAME, TERMS), OutcomeUnknown)


async def test_what_does_not_speak_http_proves_nothing() -> None:
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\xff not http at all\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with reaching(settings(f"http://127.0.0.1:{port}")) as venue:
            assert isinstance(await venue.submit(NAME, TERMS), OutcomeUnknown)


@pytest.mark.parametrize("status", [200, 500, 502, 503, 504])
async def test_gateway_pages_prove_nothing(status: int) -> None:
    page = answering(lambda: web.Response(status=status, text="<html>", content_type="text/html"))

    assert isinstance(await placed_at(page), OutcomeUnknown)


async def test_a_redirect_is_not_followed_and_proves_nothing() -> None:
    requests = 0

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        return web.Response(status=307, headers={"Location": str(request.url)})

    assert isinstance(await placed_at(redirect), OutcomeUnknown)
    assert requests == 1


async def test_too_many_requests_return_the_time_to_wait() -> None:
    headers = {"X-Ratelimit-Reset": str(int(NOW.timestamp()) + 7), "Date": "Mon, 05 Jan 2026 08:00:00 GMT"}

    outcome = await placed_at(answering(lambda: web.Response(status=429, headers=headers)))

    assert outcome == RateLimited(retry_after=timedelta(seconds=7))


async def test_a_wrong_key_is_our_fault() -> None:
    answer = answering(lambda: web.json_response({"message": "forbidden."}, status=403))

    assert isinstance(await placed_at(answer), Unauthorized)


async def test_cancelling_a_placement_is_not_suppressed() -> None:
    came, never = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.BaseRequest) -> web.StreamResponse:
        came.set()
        await never.wait()
        return web.Response()

    async with serving(hang) as url, reaching(settings(url)) as venue:
        placing = asyncio.create_task(venue.submit(NAME, TERMS))
        await asyncio.wait_for(came.wait(), timeout=5)
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing


@asynccontextmanager
async def one_answer_too_many(stray: str) -> AsyncIterator[str]:
    """Run a venue that sends its first answer twice: the second time between the next request and that one's answer."""
    served = list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        again = b""
        with closing(writer), suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
                order = json.loads(await reader.readexactly(length))
                taken = json.dumps(ORDER | {"client_order_id": order["client_order_id"]})
                answer = http(taken if served or not stray else stray)
                writer.write(again)
                await asyncio.sleep(0.01)  # They are sent separately: none seems to be bytes after the other.
                writer.write(answer)
                again = b"" if served else answer
                served.append(taken)

    def http(body: str) -> bytes:
        status = "200 OK" if "client_order_id" in body else "422 Unprocessable Entity"
        return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"


async def test_an_answer_that_is_sent_twice_puts_one_order_in_doubt_and_not_the_following_ones() -> None:
    async with one_answer_too_many("") as url, reaching(settings(url)) as venue:
        outcomes = [await venue.submit(str(UUID(int=number)), TERMS) for number in range(1, 6)]

    assert [type(outcome) for outcome in outcomes] == [Placed, OutcomeUnknown, Placed, Placed, Placed]


async def test_a_refusal_that_is_sent_twice_refuses_no_other_order() -> None:
    refusal = json.dumps({"code": 40010001, "message": "quantity must be larger"})

    async with one_answer_too_many(refusal) as url, reaching(settings(url)) as venue:
        outcomes = [await venue.submit(str(UUID(int=number)), TERMS) for number in range(1, 4)]

    assert [type(outcome) for outcome in outcomes] == [Rejected, Placed, Placed]


async def test_an_order_that_was_not_requested_is_not_used_for_the_requested_one() -> None:
    async with serving(answering(lambda: web.json_response(ORDER))) as url, reaching(settings(url)) as venue:
        found = await venue.find(NAME)
        assert found is not None
        assert found.venue_order_id == "v1"
        with pytest.raises(VenueUnreachableError, match="another order"):
            await venue.find(str(UUID(int=1)))
        assert await venue.find_by_venue_order_id("v1") == found
        with pytest.raises(VenueUnreachableError, match="another order"):
            await venue.find_by_venue_order_id("v2")


async def test_only_the_venues_own_404_proves_that_there_is_no_such_order() -> None:
    own = answering(lambda: web.json_response({"code": 40410000, "message": "order not found"}, status=404))
    foreign = answering(lambda: web.Response(status=404, text="no such page"))

    async with serving(own) as url, reaching(settings(url)) as venue:
        assert await venue.find(NAME) is None
    async with serving(foreign) as url, reaching(settings(url)) as venue:
        with pytest.raises(VenueUnreachableError, match="404"):
            await venue.find(NAME)


async def test_an_order_that_cannot_be_read_is_not_taken_for_a_missing_one() -> None:
    ids_only = {"id": "v1", "client_order_id": NAME}
    async with serving(answering(lambda: web.json_response(ids_only))) as url, reaching(settings(url)) as venue:
        with pytest.raises(VenueUnreachableError, match="cannot be read"):
            await venue.find(NAME)
        assert isinstance(await venue.find_by_venue_order_id("v1"), UnreadableOrder)
        with pytest.raises(VenueUnreachableError, match="another order"):
            await venue.find_by_venue_order_id("v1/../../etc")
    async with serving(answering(lambda: web.json_response({}))) as url, reaching(settings(url)) as venue:
        with pytest.raises(VenueUnreachableError, match="cannot be read"):
            await venue.find_by_venue_order_id("v1")


async def test_of_an_external_order_a_look_up_reads_only_the_id() -> None:
    external = ORDER | {"client_order_id": "by-hand", "type": "stop", "qty": None, "status": 7}

    async with serving(answering(lambda: web.json_response(external))) as url, reaching(settings(url)) as venue:
        assert await venue.find_by_venue_order_id("v1") == ExternalOrder(venue_order_id="v1")
        with pytest.raises(VenueUnreachableError, match="another order"):
            await venue.find(NAME)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, '{"code": 40410000, "message": "endpoint not found"}'),
        (404, '{"message": "no Route matched with those values"}'),
        (404, '{"message": "Not Found"}'),
        (404, "<html>not found</html>"),
        (404, "not found"),
        (404, ""),
        (410, '{"code": 40410000, "message": "order not found for x"}'),
        (422, '{"code": 42210000, "message": "order not found for x"}'),
    ],
)
async def test_a_look_up_answered_by_a_gateway_or_a_router_is_no_answer(status: int, body: str) -> None:
    async with (
        serving(answering(lambda: web.Response(status=status, text=body))) as url,
        reaching(settings(url)) as venue,
    ):
        for look_up in (venue.find(NAME), venue.find_by_venue_order_id("v1")):
            with pytest.raises(VenueUnreachableError, match=str(status)):
                await look_up


async def test_a_look_up_of_an_order_that_the_venue_does_not_have_finds_none() -> None:
    body = {"code": 40410000, "message": "order not found for x"}
    answer = answering(lambda: web.json_response(body, status=404))

    async with serving(answer) as url, reaching(settings(url)) as venue:
        assert await venue.find(NAME) is None
        assert await venue.find_by_venue_order_id("v1") is None
