"""Whom TLS trusts, and the tunnel through a proxy: for requests and for the stream, with real servers and sockets."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from domain.model.errors import VenueUnreachableError
from domain.ports.venue_outcomes import NotSent, OutcomeUnknown, Placed, SubmissionOutcome
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.stream_connection import open_stream_connection
from tests.exchange.test_stream import a_stream_at, opened
from tests.exchange.test_transport import NAME, ORDER, TERMS, free_port, reaching, settings
from tests.support.connect_proxy import ConnectProxy, connect_proxy
from tests.support.dropped_packets import dropping_port
from tests.support.raw_venue import RawAnswer, RawVenue, raw_venue
from tests.support.tls_front import make_certificate

BODY = json.dumps(ORDER).encode()
ANSWER = RawAnswer(pieces=[b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)])
LOGIN = "us:er@desk:p@ss/word"
LOGIN_IN_URL = "us%3Aer%40desk:p%40ss%2Fword"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """A server's TLS, and the file of the authority that vouches for it."""

    context: ssl.SSLContext
    authority: Path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"), "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return Tls(context=context, authority=certificate)


async def placed(used: AlpacaSettings) -> SubmissionOutcome:
    async with reaching(used) as venue:
        return await venue.submit(NAME, TERMS)


@asynccontextmanager
async def a_venue(tls: Tls | None = None) -> AsyncIterator[tuple[RawVenue, AlpacaSettings]]:
    """Return a venue that takes every order, and how it is reached."""
    async with raw_venue(lambda _number, _request: ANSWER, tls=tls.context if tls else None) as venue:
        yield venue, settings(f"{'https' if tls else 'http'}://localhost:{venue.port}")


async def greet(connection: ServerConnection) -> None:
    await connection.send(b"hello")
    await connection.wait_closed()


@asynccontextmanager
async def a_greeting_stream(tls: Tls | None = None) -> AsyncIterator[AlpacaSettings]:
    """Return a websocket that says hello, and how it is reached."""
    async with serve(greet, "127.0.0.1", 0, ssl=tls.context if tls else None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield replace(settings(""), stream_url=f"{'wss' if tls else 'ws'}://localhost:{port}/stream")


async def heard(used: AlpacaSettings) -> bytes:
    async with asyncio.timeout(10), open_stream_connection(used) as connection:
        (message,) = await connection.next_messages()
        return message


def by(proxy: ConnectProxy, used: AlpacaSettings, *, login: str = "") -> AlpacaSettings:
    """Return the settings with that proxy."""
    return replace(used, proxy=f"http://{login}{'@' if login else ''}127.0.0.1:{proxy.port}")


async def test_a_venue_that_nobody_vouches_for_gets_no_order_and_no_key(tls: Tls) -> None:
    async with a_venue(tls) as (venue, used), a_greeting_stream(tls) as stream:
        assert isinstance(await placed(used), NotSent)
        with pytest.raises(ssl.SSLCertVerificationError):
            await heard(stream)

    assert venue.requests == []


async def test_the_file_of_authorities_says_who_vouches_for_the_venue(tls: Tls) -> None:
    async with a_venue(tls) as (_, used), a_greeting_stream(tls) as stream:
        assert isinstance(await placed(replace(used, ca_file=str(tls.authority))), Placed)
        assert await heard(replace(stream, ca_file=str(tls.authority))) == b"hello"


async def test_the_variable_of_openssl_names_this_machines_authorities(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))

    async with a_venue(tls) as (_, used), a_greeting_stream(tls) as stream:
        assert isinstance(await placed(used), Placed)
        assert await heard(stream) == b"hello"


async def test_the_file_of_authorities_replaces_those_of_the_machine(
    tls: Tls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))
    other, _ = make_certificate(tmp_path, "localhost")

    async with a_venue(tls) as (_, used):
        assert isinstance(await placed(replace(used, ca_file=str(other))), NotSent)


async def test_a_certificate_for_another_host_is_refused(tls: Tls) -> None:
    async with a_venue(tls) as (venue, used):
        other = replace(used, url=f"https://127.0.0.1:{venue.port}", ca_file=str(tls.authority))

        assert isinstance(await placed(other), NotSent)


@pytest.mark.parametrize("is_secure", [False, True])
async def test_requests_and_the_stream_go_through_the_proxy_with_its_login(tls: Tls, is_secure: bool) -> None:
    used_tls = tls if is_secure else None
    async with (
        a_venue(used_tls) as (venue, used),
        a_greeting_stream(used_tls) as stream,
        connect_proxy(login=LOGIN) as proxy,
    ):
        trusted = replace(by(proxy, used, login=LOGIN_IN_URL), ca_file=str(tls.authority))
        assert isinstance(await placed(trusted), Placed)
        assert await heard(replace(trusted, stream_url=stream.stream_url)) == b"hello"

        assert proxy.targets == [f"localhost:{venue.port}", stream.stream_url.split("/")[2]]
        assert b"Proxy-Authorization" not in venue.requests[0]


async def test_a_tunnel_is_kept_for_the_next_order(tls: Tls) -> None:
    async with a_venue(tls) as (venue, used), connect_proxy() as proxy:
        async with reaching(replace(by(proxy, used), ca_file=str(tls.authority))) as reached:
            outcomes = [await reached.submit(NAME, TERMS) for _ in range(3)]

        assert [type(outcome) for outcome in outcomes] == [Placed] * 3
        assert (len(proxy.targets), venue.connections) == (1, 1)


def test_the_proxy_is_reached_on_the_loop_that_the_processes_run_on(tls: Tls) -> None:
    async def place_and_hear() -> None:
        async with a_venue(tls) as (_, used), a_greeting_stream(tls) as stream, connect_proxy(login=LOGIN) as proxy:
            trusted = replace(by(proxy, used, login=LOGIN_IN_URL), ca_file=str(tls.authority))
            assert isinstance(await placed(trusted), Placed)
            assert await heard(replace(trusted, stream_url=stream.stream_url)) == b"hello"

    uvloop.run(place_and_hear())


@pytest.mark.parametrize("login", ["", "us:wrong"])
async def test_a_proxy_that_refuses_the_login_proves_that_nothing_was_sent(login: str) -> None:
    async with a_venue() as (venue, used), connect_proxy(login=LOGIN) as proxy:
        outcome = await placed(by(proxy, used, login=login))
        with pytest.raises(VenueUnreachableError, match=r"proxy refuses .*: HTTP 407") as refused:
            await opened(a_stream_at("ws://localhost:1/stream", proxy=by(proxy, used, login=login).proxy))

    assert isinstance(outcome, NotSent)
    assert "HTTP 407" in outcome.error
    assert "wrong" not in outcome.error + str(refused.value)
    assert (venue.connections, proxy.refused) == (0, 2)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_a_proxy_that_makes_no_tunnel_proves_that_nothing_was_sent(answer: bytes) -> None:
    async with a_venue() as (venue, used), connect_proxy(answer=answer) as proxy:
        outcome = await placed(by(proxy, used))

    assert isinstance(outcome, NotSent)
    assert "proxy" in outcome.error
    assert venue.connections == 0


async def test_a_proxy_that_is_not_there_proves_that_nothing_was_sent() -> None:
    async with a_venue() as (venue, used):
        for host in (f"127.0.0.1:{free_port()}", "proxy.invalid"):
            assert isinstance(await placed(replace(used, proxy=f"http://{host}")), NotSent)

    assert venue.connections == 0


async def test_a_proxy_that_does_not_answer_is_waited_for_no_longer_than_a_connection() -> None:
    with dropping_port() as port, socket.create_server(("127.0.0.1", 0)) as silent:
        for each in (port, silent.getsockname()[1]):
            used = replace(
                settings("http://localhost:1"), proxy=f"http://127.0.0.1:{each}", connect_timeout_seconds=0.2
            )
            assert isinstance(await placed(used), NotSent)
        stream = a_stream_at("ws://localhost:1/stream", proxy=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(VenueUnreachableError, match="cannot be opened"):
            await opened(stream)


@pytest.mark.parametrize(
    "variable", ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "wss_proxy"]
)
async def test_a_proxy_of_the_environment_is_not_used(tls: Tls, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")

    async with a_venue(tls) as (_, used), a_greeting_stream(tls) as stream:
        assert isinstance(await placed(replace(used, ca_file=str(tls.authority))), Placed)
        assert await heard(replace(stream, ca_file=str(tls.authority))) == b"hello"


async def test_an_order_whose_tunnel_is_cut_behind_it_is_in_doubt() -> None:
    async with (
        raw_venue(lambda _number, _request: RawAnswer(pieces=[], ends=True)) as venue,
        connect_proxy() as proxy,
    ):
        outcome = await placed(by(proxy, settings(f"http://localhost:{venue.port}")))

    assert isinstance(outcome, OutcomeUnknown)
