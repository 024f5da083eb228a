"""A TCP proxy in front of a server, with which a test can disconnect the server, delay it, and restore it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

READ_BYTES = 65_536


@dataclass(slots=True)
class Proxy:
    """Forwards bytes between its own port and the server's."""

    target: tuple[str, int]
    port: int = 0
    _server: asyncio.Server | None = None
    _pipes: set[asyncio.Task[None]] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)
    refused: int = 0
    _loses_answer: bool = False
    _refuses: bool = False

    async def restore(self) -> None:
        """Listen, and forward."""
        self._flowing.set()
        self._refuses = False
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._server.sockets[0].getsockname()[1]

    async def take_away(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def refuse(self) -> None:
        """Close the open connections, and each new one immediately; `refused` counts those."""
        self._refuses = True
        await self._cut()

    def hang(self) -> None:
        """Keep every connection open and forward nothing, as a paused server would."""
        self._flowing.clear()

    def lose_next_answer(self) -> None:
        """Let the server execute the next request, and close that connection instead of passing on the answer."""
        self._loses_answer = True

    async def _cut(self) -> None:
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            self.refused += 1
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._pipes.add(task)
        writers = [writer]
        try:
            there_reader, there_writer = await asyncio.open_connection(*self.target)
            writers.append(there_writer)
            async with asyncio.TaskGroup() as pipes:
                pipes.create_task(self._pump(reader, there_writer))
                pipes.create_task(self._pump(there_reader, writer, is_answer=True))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in writers:
                one.transport.abort()
            self._pipes.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool = False) -> None:
        with suppress(OSError):
            while data := await source.read(READ_BYTES):
                await self._flowing.wait()
                if is_answer and self._loses_answer:
                    self._loses_answer = False
                    break
                sink.write(data)
                await sink.drain()
        sink.transport.abort()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Return a proxy in front of the server at the URL, and the URL of the server through it."""
    parts = urlsplit(url)
    proxy = Proxy(target=(parts.hostname or "127.0.0.1", parts.port or 0))
    await proxy.restore()
    host = parts.netloc.rpartition(":")[0]
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{host}:{proxy.port}"))
    finally:
        await proxy.take_away()
