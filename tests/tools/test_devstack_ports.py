"""Ports of the local stack: free ones, and a clear message about ports in use."""

import os
import re
import socket
from collections.abc import Iterator

import pytest

from tools.devstack.addresses import choose_addresses
from tools.devstack.errors import LocalStackError
from tools.devstack.ports import FIRST_FREE_PORT, LAST_FREE_PORT, free_port, is_taken


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", free_port())) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(autouse=True)
def _free_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXCHANGE_URL", raising=False)
    for name in ("PORT", "EXCHANGE_PORT", "METRICS_PORT"):
        monkeypatch.setenv(name, str(free_port()))


def test_a_free_port_lies_below_those_of_outgoing_connections() -> None:
    port = free_port()

    assert FIRST_FREE_PORT <= port <= LAST_FREE_PORT
    assert not is_taken(port)


def test_a_taken_port_is_refused_with_its_holder_and_a_way_out(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", str(taken_port))

    with pytest.raises(LocalStackError) as refusal:
        choose_addresses(apis=1, workers=1).require_free()

    holder = (
        rf"port {taken_port} for the API is already in use by \S+ \(pid {os.getpid()}\)\. Free it, or choose another: "
    )
    way_out = re.fullmatch(holder + r"PORT=(\d+) \./dev up", str(refusal.value))
    assert way_out is not None
    assert not is_taken(int(way_out.group(1)))


def test_the_way_out_for_a_second_api_moves_the_first(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", str(taken_port - 10))

    with pytest.raises(LocalStackError, match=rf"port {taken_port} for the API 2 .* PORT={taken_port} \./dev up"):
        choose_addresses(apis=2, workers=1).require_free()


def test_two_of_our_own_on_one_port_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_PORT", os.environ["PORT"])

    with pytest.raises(LocalStackError, match=r"the API \(PORT\) and the simulated exchange \(EXCHANGE_PORT\)"):
        choose_addresses(apis=1, workers=1).require_free()


def test_the_port_of_an_exchange_that_is_not_started_does_not_matter(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_URL", "https://venue.example")
    monkeypatch.setenv("EXCHANGE_PORT", str(taken_port))

    addresses = choose_addresses(apis=1, workers=1)
    addresses.require_free()

    assert addresses.exchange is None


@pytest.mark.parametrize("text", ["abc", "-1", "0", "70000", "\uff18000"])
def test_what_is_not_a_port_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)

    with pytest.raises(LocalStackError, match=f"PORT={text} is not a port"):
        choose_addresses(apis=1, workers=1)
