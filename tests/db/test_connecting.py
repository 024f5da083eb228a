"""Connecting to the servers of an address: to several in turn, with TLS, and with libpq's options."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from db.address import read_address
from db.connector import Connector
from db.failures import ServerRefusalError
from tests.support.dropped_packets import dropping_port
from tests.support.tls_front import tls_front
from tools.devstack.ports import free_port

SECONDS = 1.0
AT_ONCE_SECONDS = 0.3


def elsewhere(url: str, *hosts: str, options: str = "") -> str:
    """Return the URL with other hosts."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return f"postgresql://{login}@{','.join(hosts)}{parts.path}?{options}"


def itself(url: str) -> str:
    """Return the host and port of the URL."""
    return urlsplit(url).netloc.rpartition("@")[2]


def connector(url: str) -> Connector:
    """Return the connector."""
    return Connector(read_address(url), timeout_seconds=SECONDS)


@asynccontextmanager
async def connected(to: Connector) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Open a connection, closed after its use."""
    connection = await to.connect()
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("place", [0, 1])
async def test_a_server_that_swallows_packets_costs_its_share_of_the_time_once(
    shared_database_url: str, place: int
) -> None:
    with dropping_port() as port:
        hosts = [itself(shared_database_url), f"127.0.0.1:{free_port()}"]
        hosts.insert(place, f"127.0.0.1:{port}")
        to = connector(elsewhere(shared_database_url, *hosts[::-1] if place else hosts))

        async with connected(to) as first:
            assert await first.fetchval("SELECT 1") == 1
        began = time.monotonic()
        async with connected(to) as second:
            assert await second.fetchval("SELECT 1") == 1

    assert time.monotonic() - began < AT_ONCE_SECONDS


async def test_each_server_of_an_address_that_does_not_answer_is_named_within_the_time(
    shared_database_url: str,
) -> None:
    with dropping_port() as port:
        gone = free_port()
        to = connector(elsewhere(shared_database_url, f"localhost:{port}", f"127.0.0.1:{gone}"))
        began = time.monotonic()

        with pytest.raises(ConnectionError, match=r"localhost: .*; 127\.0\.0\.1: .*Connect"):
            await to.connect()

    assert time.monotonic() - began < SECONDS + AT_ONCE_SECONDS


async def test_a_time_for_one_server_is_observed(shared_database_url: str) -> None:
    with dropping_port() as port:
        address = read_address(elsewhere(shared_database_url, f"127.0.0.1:{port}", options="connect_timeout=1"))
        began = time.monotonic()

        with pytest.raises(TimeoutError):
            await Connector(address, timeout_seconds=60).connect()

    assert time.monotonic() - began < 1 + AT_ONCE_SECONDS


@pytest.mark.parametrize("attribute", ["any", "read-write", "primary", "prefer-standby"])
async def test_a_primary_is_found_for_primary_and_prefer_primary(shared_database_url: str, attribute: str) -> None:
    hosts = (f"127.0.0.1:{free_port()}", itself(shared_database_url))
    to = connector(elsewhere(shared_database_url, *hosts, options=f"target_session_attrs={attribute}"))

    async with connected(to) as connection:
        assert not await connection.fetchval("SELECT pg_is_in_recovery()")


async def test_a_primary_is_no_standby(shared_database_url: str) -> None:
    to = connector(elsewhere(shared_database_url, itself(shared_database_url), options="target_session_attrs=standby"))

    with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
        await to.connect()


async def test_options_for_the_server_reach_it(shared_database_url: str) -> None:
    options = "options=-c%20statement_timeout%3D3s%20-csearch_path%3Dmine"

    async with connected(
        connector(elsewhere(shared_database_url, itself(shared_database_url), options=options))
    ) as there:
        assert await there.fetchval("SHOW statement_timeout") == "3s"
        assert await there.fetchval("SHOW search_path") == "mine"


async def test_options_that_the_server_does_not_know_are_its_refusal(shared_database_url: str) -> None:
    options = "options=endpoint%3Dep-cool-1"

    with pytest.raises(ServerRefusalError, match="endpoint=ep-cool-1"):
        await connector(elsewhere(shared_database_url, itself(shared_database_url), options=options)).connect()


async def test_keep_alives_are_set_by_the_address(shared_database_url: str) -> None:
    options = "keepalives=1&keepalives_idle=7&keepalives_interval=3&keepalives_count=2&tcp_user_timeout=9000"

    async with connected(
        connector(elsewhere(shared_database_url, itself(shared_database_url), options=options))
    ) as there:
        transport: asyncio.Transport = getattr(there, "_transport")  # noqa: B009 - no public name leads to it
        with socket.socket(fileno=socket.dup(transport.get_extra_info("socket").fileno())) as used:
            assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 3
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 2
            assert used.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 9000


@pytest.mark.parametrize("options", ["sslmode=verify-full", "sslmode=require&channel_binding=require"])
async def test_a_server_that_this_machine_trusts_is_connected_to_and_another_is_not(
    options: str, shared_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    async with tls_front(shared_database_url, tmp_path) as front:
        url = elsewhere(shared_database_url, f"localhost:{front.port}", options=options)
        with pytest.raises(ServerRefusalError, match="certificate verify failed"):
            await connector(url).connect()

        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
        async with connected(connector(url)) as there:
            assert await there.fetchval("SELECT 1") == 1


async def test_a_certificate_for_another_name_is_refused(
    shared_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tls_front(shared_database_url, tmp_path, name="db.example") as front:
        monkeypatch.setenv("SSL_CERT_FILE", str(front.certificate))
        url = elsewhere(shared_database_url, f"localhost:{front.port}", options="sslrootcert=system")

        with pytest.raises(ServerRefusalError, match="not valid for 'localhost'"):
            await connector(url).connect()


async def test_a_server_without_tls_refuses_an_address_that_requires_it(shared_database_url: str) -> None:
    with pytest.raises(ServerRefusalError, match="no TLS"):
        await connector(
            elsewhere(shared_database_url, itself(shared_database_url), options="sslmode=require")
        ).connect()
