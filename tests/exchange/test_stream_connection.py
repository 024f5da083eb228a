"""What is cut out of the bytes here and what the library reads are the same messages, in the same order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from exchange.alpaca.stream_connection import StreamConnection

MESSAGE_MAX_BYTES = 70_000
QUEUE_MAX = 8

payloads = st.binary(max_size=8) | st.sampled_from([b"x" * size for size in (125, 126, 127, 300, 65_535, 65_536)])
texts = st.text(max_size=5).map(str.encode)
whole = st.builds(Frame, st.just(Opcode.BINARY), payloads) | st.builds(Frame, st.just(Opcode.TEXT), texts)
controls = st.builds(Frame, st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125))


@st.composite
def in_pieces(draw: st.DrawFn) -> list[Frame]:
    """Return a message in fragments, perhaps with a ping between them."""
    first, *more = draw(st.lists(st.binary(max_size=8), min_size=2, max_size=4))
    between = draw(st.lists(controls, max_size=1))
    pieces = [Frame(Opcode.CONT, piece, fin=piece is more[-1]) for piece in more[:-1]]
    return [
        Frame(Opcode.BINARY, first, fin=False),
        *between,
        *pieces,
        Frame(Opcode.CONT, more[-1], fin=True),
    ]


conversations = st.lists(
    st.one_of(whole, whole, whole, controls).map(lambda frame: [frame]) | in_pieces(), max_size=12
).map(lambda some: [frame for frames in some for frame in frames])
endings = st.sampled_from(
    [
        b"",
        Frame(Opcode.CLOSE, Close(CloseCode.NORMAL_CLOSURE, "").serialize()).serialize(mask=False),
        Frame(Opcode.BINARY, b"x" * (MESSAGE_MAX_BYTES + 1)).serialize(mask=False),
        b"\x82\x85abcd12345",  # Masked, which a server must not.
        b"\xc2\x01x",  # With an extension that was not agreed on.
        b"\x83\x00",  # An undefined opcode.
        b"\x80\x00",  # A piece of no message.
        b"\x82\x7e\x01",  # Cut off in the middle of a header,
        b"\x82\x05x",  # and of a message.
    ]
)


@dataclass(slots=True)
class Wire:
    """A transport that keeps what is written, and whether it is read from."""

    written: bytearray = field(default_factory=bytearray)
    is_reading: bool = True
    is_ended: bool = False

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.is_ended = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.is_ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_ended

    def set_write_buffer_limits(self, *_: object) -> None:
        return

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def get_extra_info(self, _: str) -> None:
        return None


@asynccontextmanager
async def shaken(kind: type[ClientConnection]) -> AsyncIterator[tuple[ClientConnection, Wire, bytes]]:
    """Return a connection that has sent the handshake, and the answer that it has not read yet."""
    opening = connect(
        "ws://venue/stream",
        create_connection=kind,
        compression=None,
        ping_interval=None,
        max_size=MESSAGE_MAX_BYTES,
        max_queue=QUEUE_MAX,
    )
    connection = opening.factory(opening.ws_uri)
    wire = Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]  # As much of a transport as is used.
    asking = asyncio.create_task(connection.handshake())
    await asyncio.sleep(0)
    server = ServerProtocol()
    server.receive_data(bytes(wire.written))
    wire.written.clear()
    (request,) = server.events_received()
    assert isinstance(request, Request)
    server.send_response(server.accept(request))
    answer = b"".join(server.data_to_send())
    try:
        yield connection, wire, answer
        await asking
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def heard(kind: type[ClientConnection], chunks: Sequence[bytes]) -> tuple[list[bytes], str, bytes]:
    """Return what a connection makes of these portions after the handshake: its messages, its end, and what it
    sends.
    """
    async with shaken(kind) as (connection, wire, answer):
        whole = [answer + chunks[0], *chunks[1:]] if chunks else [answer]
        for chunk in whole:
            connection.data_received(chunk)
        connection.eof_received()
        connection.connection_lost(None)
        messages: list[bytes] = []
        try:
            while True:
                if isinstance(connection, StreamConnection):
                    messages += await connection.next_messages(3)
                else:
                    message = await connection.recv(decode=False)
                    messages.append(message)
        except ConnectionClosed as error:
            return messages, str(error), bytes(wire.written)


def portions(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return the data in portions."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(
    frames=conversations,
    ending=endings,
    behind=st.lists(whole, max_size=2),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=6),
)
@example(
    frames=[Frame(Opcode.BINARY, b"1"), Frame(Opcode.PING, b"2"), Frame(Opcode.TEXT, b"3")],
    ending=b"",
    behind=[],
    cuts=[],
)
def test_it_receives_what_the_library_receives(
    frames: Sequence[Frame], ending: bytes, behind: Sequence[Frame], cuts: Sequence[int]
) -> None:
    data = b"".join(frame.serialize(mask=False) for frame in frames) + ending
    data += b"".join(frame.serialize(mask=False) for frame in behind)

    async def compare() -> None:
        chunks = portions(data, cuts)
        ours, libraries = await heard(StreamConnection, chunks), await heard(ClientConnection, chunks)
        assert ours[0] == libraries[0]
        assert ours[1] == libraries[1]
        assert _opcodes(ours[2]) == _opcodes(libraries[2])

    asyncio.run(compare())


@given(data=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_for_any_bytes_it_receives_what_the_library_receives(data: bytes, cuts: Sequence[int]) -> None:
    async def compare() -> None:
        chunks = portions(data, cuts)
        ours, libraries = await heard(StreamConnection, chunks), await heard(ClientConnection, chunks)
        assert ours[:2] == libraries[:2]

    asyncio.run(compare())


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_an_answer_to_the_handshake_in_pieces_is_an_answer(size: int) -> None:
    async with shaken(StreamConnection) as (connection, _, answer):
        data = answer + Frame(Opcode.BINARY, b"first").serialize(mask=False)
        for start in range(0, len(data), size):
            connection.data_received(data[start : start + size])

        assert isinstance(connection, StreamConnection)
        assert await connection.next_messages(5) == (b"first",)


async def test_a_waiting_reader_is_woken_by_messages_and_by_the_end() -> None:
    async with shaken(StreamConnection) as (connection, _, answer):
        assert isinstance(connection, StreamConnection)
        connection.data_received(answer)
        waiting = asyncio.create_task(connection.next_messages(5))
        await asyncio.sleep(0)
        connection.data_received(Frame(Opcode.BINARY, b"1").serialize(mask=False))
        assert await waiting == (b"1",)

        waiting = asyncio.create_task(connection.next_messages(5))
        await asyncio.sleep(0)
        connection.eof_received()
        connection.connection_lost(None)
        with pytest.raises(ConnectionClosedError):
            await waiting


async def test_reading_pauses_above_the_bound_and_resumes_when_a_quarter_is_left() -> None:
    async with shaken(StreamConnection) as (connection, wire, answer):
        assert isinstance(connection, StreamConnection)
        connection.data_received(answer)
        was_reading = []

        connection.data_received(Frame(Opcode.BINARY, b"1").serialize(mask=False) * QUEUE_MAX)
        was_reading.append(wire.is_reading)
        connection.data_received(Frame(Opcode.BINARY, b"1").serialize(mask=False))
        was_reading.append(wire.is_reading)
        await connection.next_messages(QUEUE_MAX - QUEUE_MAX // 4)
        was_reading.append(wire.is_reading)
        await connection.next_messages(1)
        was_reading.append(wire.is_reading)

    assert was_reading == [True, False, False, True]


async def test_a_ping_between_messages_is_answered() -> None:
    async with shaken(StreamConnection) as (connection, wire, answer):
        connection.data_received(answer + Frame(Opcode.PING, b"are you there").serialize(mask=False))

        assert _opcodes(bytes(wire.written)) == [Opcode.PONG]


async def test_a_venue_that_closes_is_answered_and_the_end_is_a_normal_one() -> None:
    async with shaken(StreamConnection) as (connection, wire, answer):
        assert isinstance(connection, StreamConnection)
        close = Frame(Opcode.CLOSE, Close(CloseCode.NORMAL_CLOSURE, "bye").serialize())
        connection.data_received(answer + close.serialize(mask=False))
        connection.eof_received()
        connection.connection_lost(None)

        with pytest.raises(ConnectionClosedOK):
            await connection.next_messages(1)
        assert _opcodes(bytes(wire.written)) == [Opcode.CLOSE]


def _opcodes(written: bytes) -> list[Opcode]:
    """Return the kinds of frames that a client wrote; their masks are random."""
    kinds, place = [], 0
    while place < len(written):
        kinds.append(Opcode(written[place] & 0x0F))
        place += 2 + 4 + (written[place + 1] & 0x7F)
    return kinds
