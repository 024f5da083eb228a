"""uvicorn's server, and one that accepts connections at a limited rate."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals as they are."""
        yield


class PacedServer(Server):
    """A server that accepts a limited number of connections a second; the others wait in the kernel at no cost.

    A refused connection costs as much as a served one, and its client reconnects immediately: a limit of connections or
    requests by itself does not bound the cost of a flood.
    """

    def __init__(self, config: uvicorn.Config, *, connections_per_second: int) -> None:
        super().__init__(config)
        self._pause_seconds = 1 / connections_per_second
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept from the one listening socket."""
        await super().startup(sockets=[])
        [listening] = sockets or []
        listening.setblocking(False)
        self._accepting = asyncio.create_task(self._accept(listening))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, and finish open requests."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # A client that has gone already, or no file descriptor for another one.
            with contextlib.suppress(OSError):
                connection, _ = await loop.sock_accept(listening)
                await loop.connect_accepted_socket(self._make_protocol, connection)
            await asyncio.sleep(self._pause_seconds)

    def _make_protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn calls it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
