"""Any actions of a client on a socket: it is answered or closed with a documented code, its resources are freed,
and the next client is served.
"""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import orjson
import pytest
from hypothesis import given

from domain.ports.telemetry import Metric
from tests.fuzz.cases import TIMEOUT_SECONDS, fuzz
from tests.fuzz.conversations import REFUSED, Conversation, Leaving, conversations
from tests.support.api_server import DEADLINE_SECONDS, LIMITS, Api, Json, running_api, until
from tests.support.raw_socket import CLOSE, PONG, TEXT, Frame, RawSocket, frame, raw_socket, subscribe

NORMAL = 1000
GOODBYE = frame(struct.pack("!H", NORMAL), opcode=CLOSE)
PATIENCE_SECONDS = 0.3
CLOSES = GOODBYE[:1]
FAILURES = frozenset({1006, 1011, 4500})


@pytest.fixture(scope="module")
async def fuzzed() -> AsyncIterator[Api]:
    """One server for all cases. It tells a flood early: each is a case that would wait a second."""
    async with running_api(limits=replace(LIMITS, flood_close_delay_seconds=PATIENCE_SECONDS / 10)) as api:
        yield api


@pytest.fixture
def errors() -> Iterator[list[logging.LogRecord]]:
    """Every error that anything has logged."""
    keeper = Keeper(logging.ERROR)
    logging.getLogger().addHandler(keeper)
    yield keeper.records
    logging.getLogger().removeHandler(keeper)


class Keeper(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.mark.timeout(TIMEOUT_SECONDS)
@fuzz
@given(conversation=conversations)
async def test_no_conversation_does_harm(
    fuzzed: Api, errors: list[logging.LogRecord], conversation: Conversation
) -> None:
    fuzzed.world.clear()
    tasks_before = len(asyncio.all_tasks())

    async with raw_socket(fuzzed.port) as socket:
        for piece in conversation.pieces:
            await socket.send(piece)
            # The server runs in between, or does not: both orders are cases.
            await asyncio.sleep(0)
        frames = await leave(socket, conversation.leaving)

    # A client that continues after its own close frame may lose the answer to it.
    if (
        conversation.leaving is Leaving.POLITELY
        and frames
        and not any(CLOSES in piece for piece in conversation.pieces)
    ):
        check_end(frames)
    check_messages([orjson.loads(received.payload) for received in frames if received.opcode == TEXT])
    stored = [row.order.terms.client_order_id for row in fuzzed.world.orders.rows.values()]
    assert not [key for key in stored if key.startswith(REFUSED)]
    await until(lambda: fuzzed.world.feed.open_feeds == 0)
    await until(lambda: not fuzzed.world.telemetry.gauges.get(Metric.SOCKETS))
    await until(lambda: len(asyncio.all_tasks()) <= tasks_before)
    assert errors == []
    assert fuzzed.world.telemetry.said("unexpected_error") == []
    await check_honest(fuzzed)


async def leave(socket: RawSocket, leaving: Leaving) -> Sequence[Frame]:
    """Disconnect that way; return every frame of the server until it ended the connection, or none when the client
    does not read.
    """
    frames: list[Frame] = []
    reading = asyncio.create_task(_read_all(socket, frames))
    match leaving:
        case Leaving.BY_RESET:
            socket.writer.transport.abort()
        case Leaving.BY_HALF_CLOSE:
            _half_close(socket)
        case Leaving.POLITELY:
            await socket.send(GOODBYE)
            await asyncio.wait([reading], timeout=PATIENCE_SECONDS)
            if not reading.done():
                # Bytes sent before made the close frame a part of a frame whose rest never arrives.
                _half_close(socket)
                await asyncio.wait_for(reading, DEADLINE_SECONDS)
                return ()
    await asyncio.wait_for(reading, DEADLINE_SECONDS)
    return frames


def _half_close(socket: RawSocket) -> None:
    with suppress(OSError):  # The server may have ended the connection meanwhile.
        socket.writer.write_eof()


async def _read_all(socket: RawSocket, frames: list[Frame]) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            frames.append(await socket.next_frame())


def check_end(frames: Sequence[Frame]) -> None:
    """Check that the last frame has the reason, with a code that is not a failure; only a pong may follow it."""
    frames = [received for received in frames if received.opcode != PONG]
    assert [received.opcode for received in frames].count(CLOSE) == 1, "without a close frame a peer reads 1006"
    assert frames[-1].opcode == CLOSE
    assert frames[-1].payload == b"" or frames[-1].close_code not in FAILURES


def check_messages(messages: Sequence[Json]) -> None:
    """Check that each message has the protocol's shape."""
    for message in messages:
        match message:
            case {"type": "connection_ack"} | {"type": "pong"}:
                pass
            case {"type": "next", "id": str(), "payload": {"data": _}}:
                pass
            case {"type": "error", "id": str(), "payload": [{"message": str(), "extensions": {"code": str()}}, *_]}:
                pass
            case {"type": "complete", "id": str()}:
                pass
            case _:
                pytest.fail(f"not a message of the protocol: {message}")


async def check_honest(api: Api) -> None:
    """Assert that another client is served."""
    async with raw_socket(api.port) as socket:
        await socket.introduce()
        await socket.send(subscribe("{ viewer { accountId } }"))
        assert (await socket.receive())["type"] == "next"
        assert (await socket.receive())["type"] == "complete"
        assert await socket.messages_until_closed() == []
