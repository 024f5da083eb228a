"""A websocket client that sends any bytes and returns every received frame (RFC 6455)."""

import asyncio
import base64
import os
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import orjson

from tests.support.api_server import DEADLINE_SECONDS, SUBPROTOCOL, Api, Json, token

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x12\x34\x56\x78"
ABNORMAL = 1006


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of the server."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame."""
        (code,) = struct.unpack("!H", self.payload[:2])
        return int(code)


def frame(
    payload: bytes, *, opcode: int = TEXT, is_last: bool = True, is_masked: bool = True, reserved: int = 0
) -> bytes:
    """Return a client's frame as bytes."""
    head = bytes([(0x80 if is_last else 0) | reserved << 4 | opcode])
    mask_bit = 0x80 if is_masked else 0
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 65_536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", len(payload))
    if not is_masked:
        return head + payload
    key = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(len(payload), "big")
    return head + MASK + masked


def text(message: object) -> bytes:
    """Return the frame of a JSON message."""
    return frame(orjson.dumps(message))


@dataclass(slots=True, kw_only=True)
class RawSocket:
    """One connection after its handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str

    async def send(self, *frames: bytes) -> None:
        """Send all bytes. A connection that the server has closed already accepts none, which the test then detects."""
        with suppress(ConnectionError):
            self.writer.write(b"".join(frames))
            await self.writer.drain()

    async def introduce(self, bearer: str | None = None) -> None:
        """Send connection_init, and receive the acknowledgement."""
        await self.send(text(init(bearer)))
        assert await self.receive() == {"type": "connection_ack"}

    async def next_frame(self) -> Frame:
        """Return the next frame of any kind."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return Frame(opcode=first & 0x0F, payload=await self.reader.readexactly(length))

    async def receive(self) -> Json:
        """Return the next message, which must be text."""
        received = await self.next_frame()
        assert received.opcode == TEXT, received
        message: Json = orjson.loads(received.payload)
        return message

    async def closed(self) -> tuple[int, str]:
        """Read until the server closes; code and reason. Without a close frame the code is 1006."""
        try:
            while (received := await self.next_frame()).opcode != CLOSE:
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return ABNORMAL, ""
        return received.close_code, received.payload[2:].decode()

    async def messages_until_closed(self) -> Sequence[Json]:
        """Close the socket as a client does; return all messages before the server's answer."""
        await self.send(frame(struct.pack("!H", 1000), opcode=CLOSE))
        messages = []
        while (received := await self.next_frame()).opcode != CLOSE:
            if received.opcode == TEXT:
                messages.append(orjson.loads(received.payload))
        return messages

    async def ended(self) -> None:
        """Wait until the server has ended the connection itself."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            with suppress(ConnectionError):
                while await self.reader.read(65_536):
                    pass


def init(bearer: str | None = None) -> Json:
    """Return a connection_init message."""
    return {"type": "connection_init", "payload": {"Authorization": f"Bearer {bearer or token()}"}}


def subscribe(query: str, *, key: str = "1", **payload: object) -> bytes:
    """Return the frame of a subscribe message."""
    return text({"id": key, "type": "subscribe", "payload": {"query": query, **payload}})


@asynccontextmanager
async def raw_socket(
    port: int, *, path: str = "/graphql", subprotocol: str | None = SUBPROTOCOL, **headers: str
) -> AsyncIterator[RawSocket]:
    """Connect and upgrade; AssertionError when the handshake is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    fields = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **({"Sec-WebSocket-Protocol": subprotocol} if subprotocol else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    try:
        lines = "\r\n".join(f"{name}: {value}" for name, value in fields.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n\r\n".encode())
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 101"), head
        yield RawSocket(reader=reader, writer=writer, head=head)
    finally:
        if not writer.transport.is_closing():
            writer.transport.abort()


@asynccontextmanager
async def raw_conversation(api: Api) -> AsyncIterator[RawSocket]:
    """Open an authenticated connection."""
    async with raw_socket(api.port) as socket:
        await socket.introduce()
        yield socket
