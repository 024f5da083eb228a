"""A gateway between the workers and the exchange, as a venue has one: it can lose, change or make up answers."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

PLACEMENT = ("POST", "/v2/orders")
HOP_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "date", "server"})
RESET = "x-ratelimit-reset"
FORGOTTEN_AFTER_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer to a request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Forward = Callable[[], Awaitable[Reply]]
Act = Callable[[Forward], Awaitable[Reply | None]]
"""What becomes of one placement, given the way to the exchange: its answer, or None to cut the connection."""


def answers(status: int, body: str = "", *, forwards: bool = False, headers: Mapping[str, str] | None = None) -> Act:
    """Answer so; with `forwards` the exchange gets the order all the same."""

    async def act(forward: Forward) -> Reply:
        if forwards:
            await forward()
        return Reply(status=status, body=body.encode(), headers=headers or {})

    return act


def cuts(*, forwards: bool) -> Act:
    """Cut the connection instead of answering."""

    async def act(forward: Forward) -> None:
        if forwards:
            await forward()

    return act


def falls_silent(*, forwards: bool) -> Act:
    """Never answer."""

    async def act(forward: Forward) -> None:
        if forwards:
            await forward()
        await asyncio.sleep(FORGOTTEN_AFTER_SECONDS)

    return act


@dataclass(slots=True)
class Gateway:
    """Forwards all requests except submissions for which an action is scripted. With `key` it changes the client's
    key, with `resets_in_seconds` the announced end of the exchange's rate limit.
    """

    target: str
    session: aiohttp.ClientSession
    acts: deque[Act] = field(default_factory=deque)
    key: str | None = None
    resets_in_seconds: float | None = None
    placements: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        body = await request.read()
        reply: Reply | None
        if (request.method, request.path) == PLACEMENT:
            self.placements += 1
            act = self.acts.popleft() if self.acts else _passes
            reply = await act(lambda: self._forward(request, body))
        else:
            reply = await self._forward(request, body)
        if reply is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> Reply:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_HEADERS}
        if self.key is not None:
            headers["APCA-API-KEY-ID"] = self.key
        async with self.session.request(
            request.method, self.target + request.path_qs, data=body, headers=headers, allow_redirects=False
        ) as response:
            kept = {name.lower(): value for name, value in response.headers.items() if name.lower() not in HOP_HEADERS}
            if self.resets_in_seconds is not None and RESET in kept:
                kept[RESET] = str(time.time() + self.resets_in_seconds)
            return Reply(status=response.status, body=await response.read(), headers=kept)


async def _passes(forward: Forward) -> Reply:
    return await forward()


@asynccontextmanager
async def running_gateway(target: str, *, session: aiohttp.ClientSession) -> AsyncIterator[tuple[Gateway, str]]:
    """Run a gateway in front of the exchange at that address; yield it and its own address."""
    gateway = Gateway(target, session)
    runner = web.ServerRunner(web.Server(gateway.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield gateway, f"http://{host}:{port}"
    finally:
        await runner.cleanup()
