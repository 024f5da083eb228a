"""A proxy that tunnels by CONNECT, with a login or without, and one that answers CONNECT as it is told."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field

READ_BYTES = 65_536
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nX-Proxy: ours\r\n\r\n"
LOGIN_REQUIRED = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nlogin"
)


@dataclass(slots=True)
class ConnectProxy:
    """Where it listens, and what it was asked to connect to."""

    login: str | None
    answer: bytes
    port: int = 0
    targets: list[str] = field(default_factory=list)
    refused: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it or the server behind goes away."""
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.partition("\r\n")[0].split(" ")
            assert method == "CONNECT"
            assert f"\r\nHost: {target}\r\n" in head
            if self.login is not None:
                expected = b64encode(self.login.encode()).decode()
                if f"\r\nProxy-Authorization: Basic {expected}\r\n" not in head:
                    self.refused += 1
                    writer.write(LOGIN_REQUIRED)
                    return
            self.targets.append(target)
            if self.answer != ESTABLISHED:
                writer.write(self.answer)
                return
            host, _, port = target.rpartition(":")
            there_reader, there_writer = await asyncio.open_connection(host.strip("[]"), int(port))
            with closing(there_writer):
                writer.write(self.answer)
                await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))


@asynccontextmanager
async def connect_proxy(*, login: str | None = None, answer: bytes = ESTABLISHED) -> AsyncIterator[ConnectProxy]:
    """Serve a proxy on this machine."""
    proxy = ConnectProxy(login=login, answer=answer)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(asyncio.CancelledError):
            await proxy.serve(reader, writer)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            for task in serving:
                task.cancel()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(READ_BYTES):
        sink.write(data)
        await sink.drain()
    sink.close()
