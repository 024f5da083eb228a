"""A subscriber that never reads: its connection is closed in time, and its memory is freed."""

import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.socket import open_socket
from tests.support.processes import eventually
from tests.support.system import System, open_system, token

SEND_TIMEOUT_SECONDS = 1.0
SUBSCRIPTIONS = 40
ORDERS = 10
RECEIVE_BUFFER_BYTES = 4_096
CHANGES_OF_AN_ORDER = 4
CONNECTIONS_OF_THE_KERNEL = Path("/proc/net/tcp")
# Each change contains its order many times, so that the buffers in between fill up fast.
LONG = "subscription Long($after: String) { orderUpdates(after: $after) { kind cursor " + (
    " ".join(f"o{n}: order {{ id symbol: instrument {{ isin name symbol }} }}" for n in range(15)) + " } }"
)


@pytest.fixture
async def alone(database_url: str, redis_url: str) -> AsyncIterator[System]:
    """Start a system with a short send timeout."""
    settings = {"SUBSCRIBER_SEND_TIMEOUT_SECONDS": str(SEND_TIMEOUT_SECONDS)}
    async with open_system(database_url=database_url, redis_url=redis_url, settings=settings) as system:
        await system.start("api", "worker", "ingest")
        await system.control("PUT", "matching", {"mode": "auto", "fill_delay_ms": 10, "fills_per_order": 2})
        yield system


async def test_a_subscriber_that_never_reads_is_cut_off_and_all_it_held_is_freed(alone: System) -> None:
    async with alone.socket() as watching:
        beginning = (await (await watching.subscribe(LONG)).next())["orderUpdates"]["cursor"]
    for _ in range(ORDERS):
        await alone.placed_id()
    await eventually(lambda: _all_are_filled(alone), within_seconds=15, what="there is much to be told")

    narrow = socket.socket()
    # Before it connects: an announced window is not reduced later.
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    narrow.connect(("127.0.0.1", alone.ports["api"]))
    narrow.setblocking(False)
    url = f"ws://127.0.0.1:{alone.ports['api']}/graphql"
    async with open_socket(url, token=token("demo"), sock=narrow) as stalling, alone.socket() as neighbour:
        listening = await neighbour.subscribe(LONG)
        await listening.next()
        stalling.connection.transport.pause_reading()
        for _ in range(SUBSCRIPTIONS):
            await stalling.subscribe(LONG, {"after": beginning})
        stopped_at = time.monotonic()

        await alone.processes["api"].shows("socket_stalled", within_seconds=15)
        cut_off_after = time.monotonic() - stopped_at
        await eventually(lambda: _is(alone, "subscribers", 1), within_seconds=5, what="only the neighbour listens")
        await eventually(lambda: _is(alone, "sockets", 1), within_seconds=5, what="only the neighbour has a socket")
        port = stalling.connection.local_address[1]
        await eventually(lambda: not _holds(alone, port), within_seconds=5, what="the connection itself is gone")
        stalling.connection.transport.abort()
        await alone.placed_id()
        reported = (await listening.next())["orderUpdates"]

    assert cut_off_after >= SEND_TIMEOUT_SECONDS
    assert reported["kind"] == "CHANGE"
    assert (await alone.end("api")).exit_code == 0


async def _all_are_filled(system: System) -> bool:
    return await system.metric("reports_recorded_total", head="ingest") >= ORDERS * (CHANGES_OF_AN_ORDER - 2)


async def _is(system: System, gauge: str, value: float) -> bool:
    return await system.metric(gauge) == value


def _holds(system: System, client_port: int) -> bool:
    """Return whether the API's process still has its end of the connection; only on Linux."""
    if not CONNECTIONS_OF_THE_KERNEL.exists():
        return False
    ends = f":{system.ports['api']:04X}", f":{client_port:04X}"
    rows = (line.split() for line in CONNECTIONS_OF_THE_KERNEL.read_text().splitlines()[1:])
    return any(row[1].endswith(ends[0]) and row[2].endswith(ends[1]) and row[9] != "0" for row in rows)
