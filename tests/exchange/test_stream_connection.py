"""The websocket to the venue against a real server: messages are taken together, bounded, and none is missed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import CloseCode, Frame, Opcode

from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.stream_connection import GATHERED_MAX, StreamConnection, open_stream_connection
from tests.support.processes import eventually

Talk = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def connected(talk: Talk, **changed: float) -> AsyncIterator[StreamConnection]:
    """Connect to a server that sends this."""
    async with serve(talk, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=0.1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        settings = AlpacaSettings(url="", stream_url=f"ws://127.0.0.1:{port}/stream", key="k", secret="s")
        async with asyncio.timeout(20), open_stream_connection(replace(settings, **changed)) as connection:  # type: ignore[arg-type]  # all are numbers
            yield connection


async def all_of(connection: StreamConnection) -> list[bytes]:
    """Every message until the end, which must be a normal one."""
    messages: list[bytes] = []
    try:
        while True:
            messages += await connection.next_messages()
    except ConnectionClosedOK:
        return messages


async def test_every_message_comes_once_and_in_order_however_it_is_sent() -> None:
    sent = [b"%d" % number for number in range(500)]

    async def talk(server: ServerConnection) -> None:
        for number, message in enumerate(sent):
            match number % 4:
                case 0:
                    await server.send(message.decode())
                case 1:
                    await server.send([message[:1], message[1:], b""])
                case 2:
                    await server.send(message)
                    await (await server.ping())
                case _:
                    await server.send(message)

    async with connected(talk) as connection:
        assert await all_of(connection) == sent


async def test_messages_that_came_meanwhile_are_taken_together_but_never_too_many() -> None:
    sent = [b"%d" % number for number in range(3 * GATHERED_MAX)]
    is_sent = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        for message in sent:
            await server.send(message)
        is_sent.set()
        await server.wait_closed()

    async with connected(talk) as connection:
        await is_sent.wait()
        taken = list(await connection.next_messages(1))
        while len(taken) < len(sent):
            some = await connection.next_messages()
            assert len(some) <= GATHERED_MAX
            taken += some

    assert taken == sent


async def test_a_text_that_is_no_utf8_is_one_message_and_not_the_end_of_the_stream() -> None:
    async def talk(server: ServerConnection) -> None:
        server.transport.write(Frame(Opcode.TEXT, b"\xff\x00").serialize(mask=False))
        await server.send("next")

    async with connected(talk) as connection:
        assert await all_of(connection) == [b"\xff\x00", b"next"]


async def test_a_venue_that_sends_faster_than_we_record_is_held_back() -> None:
    sent = 0
    message = b"x" * 65_536

    async def talk(server: ServerConnection) -> None:
        nonlocal sent
        for _ in range(2_000):  # 128 MiB: far more than the buffers of two sockets.
            await server.send(message)
            sent += 1

    async with connected(talk, stream_queue_max_frames=4) as connection:
        seen = -1

        async def no_more_are_sent() -> bool:
            nonlocal seen
            before, seen = seen, sent
            return before == seen > 0

        await eventually(no_more_are_sent, within_seconds=10, what="the venue is held back")
        assert sent < 1_000
        taken = 0
        while taken < sent:
            taken += len(await connection.next_messages())


async def test_a_ping_is_answered_while_nobody_takes_messages() -> None:
    is_answered = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        await server.send(b"first")
        await (await server.ping())
        is_answered.set()

    async with connected(talk):
        await is_answered.wait()


async def test_a_message_that_is_too_long_ends_the_connection() -> None:
    async def talk(server: ServerConnection) -> None:
        await server.send(b"fits")
        await server.send(b"x" * 1_001)
        await server.wait_closed()

    async with connected(talk, stream_message_max_bytes=1_000) as connection:
        assert await connection.next_messages() == [b"fits"]
        with pytest.raises(ConnectionClosedError) as ended:
            await connection.next_messages()

    assert ended.value.sent is not None
    assert ended.value.sent.code == CloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("data", [b"\x82\x85abcd12345", b"\xc2\x01x", b"\x83\x00", b"\x80\x00"])
async def test_what_breaks_the_protocol_ends_the_connection_behind_what_came_before(data: bytes) -> None:
    """A mask, an extension, an unknown kind of frame, a piece of no message."""

    async def talk(server: ServerConnection) -> None:
        await server.send(b"before")
        server.transport.write(data)
        await server.wait_closed()

    async with connected(talk) as connection:
        assert await connection.next_messages() == [b"before"]
        with pytest.raises(ConnectionClosedError):
            await connection.next_messages()


async def test_a_venue_that_answers_no_ping_is_left() -> None:
    gone = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        server.transport.pause_reading()
        await gone.wait()

    async with connected(talk, stream_ping_seconds=0.1, stream_close_timeout_seconds=0.1) as connection:
        with pytest.raises(ConnectionClosedError):
            await connection.next_messages()
        gone.set()


async def test_whoever_stops_waiting_misses_no_message() -> None:
    go_on = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        await go_on.wait()
        await server.send(b"first")

    async with connected(talk) as connection:
        waiting = asyncio.create_task(connection.next_messages())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        go_on.set()

        assert await all_of(connection) == [b"first"]


async def test_a_venue_that_does_not_answer_a_close_is_not_waited_for() -> None:
    gone = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        server.transport.pause_reading()
        await gone.wait()

    loop = asyncio.get_running_loop()
    async with connected(talk, stream_close_timeout_seconds=0.1) as connection:
        began = loop.time()
        await connection.close()
        assert loop.time() - began < 5
        gone.set()
