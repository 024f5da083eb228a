"""A venue whose answers are bytes, written as they are given: over TCP or TLS, in pieces, with or without an end."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field

LOOP_TURNS_OF_A_DELIVERY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What is sent for one request: pieces, between which the other side may run; then perhaps the end."""

    pieces: Sequence[bytes]
    ends: bool = False


@dataclass(slots=True)
class RawVenue:
    """Where it listens, and what it saw."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    answering: int = 0

    async def rest(self) -> None:
        """Let it send what it is about to send, and let whoever listens in this loop receive it."""
        while self.answering:  # noqa: ASYNC110 - whatever comes first in this loop must be able to run
            await asyncio.sleep(0)
        for _ in range(LOOP_TURNS_OF_A_DELIVERY):
            await asyncio.sleep(0)


@asynccontextmanager
async def raw_venue(
    answer: Callable[[int, bytes], RawAnswer], *, tls: ssl.SSLContext | None = None, idle_seconds: float = 60.0
) -> AsyncIterator[RawVenue]:
    """Serve a venue that answers each request by `answer(number, request)` and closes idle connections."""
    venue = RawVenue()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        venue.connections += 1
        # Its client may go away in the midst of anything.
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                venue.requests.append(await asyncio.wait_for(_request(reader), idle_seconds))
                venue.answering += 1
                try:
                    sent = answer(len(venue.requests), venue.requests[-1])
                    for piece in sent.pieces:
                        writer.write(piece)
                        await writer.drain()
                        await asyncio.sleep(0)
                finally:
                    venue.answering -= 1
                if sent.ends:
                    return

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        venue.port = server.sockets[0].getsockname()[1]
        try:
            yield venue
        finally:
            for task in serving:
                task.cancel()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return head + await reader.readexactly(length)
