"""The API on a free port, and clients for it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp
import jwt
import orjson
import websockets
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection

from graph.app import create_graphql_routes
from graph.auth.tokens import ExpectedClaims, HmacTokens
from graph.websocket.open_sockets import OpenSockets
from runtime.server.http_connections import HttpLimits
from runtime.server.serving import serve
from runtime.server.websocket_protocol import WebSocketLimits
from tests.support.api_world import World
from tests.support.processes import eventually
from tools.devstack.ports import free_port, is_taken

SECRET = "a secret of at least thirty-two bytes, for tests"
ALL_SCOPES = ("orders:read", "orders:place", "orders:cancel")
DEADLINE_SECONDS = 5.0
COMPILED_OPERATIONS = os.environ.get("COMPILED_OPERATIONS", "true") == "true"
LIMITS = WebSocketLimits(message_max_bytes=65_536, flood_close_delay_seconds=0.1)
SUBPROTOCOL = websockets.Subprotocol("graphql-transport-ws")

Json = dict[str, Any]


def token(
    account: str = "alice", *, scopes: Sequence[str] = ALL_SCOPES, ttl: timedelta = timedelta(hours=1), **claims: object
) -> str:
    """Return a token of the account."""
    expires_at = datetime.now(UTC) + ttl
    return jwt.encode(
        {"sub": account, "scope": " ".join(scopes), "exp": expires_at.timestamp(), **claims}, SECRET, algorithm="HS256"
    )


@dataclass(kw_only=True)
class Api:
    """A client of one running server."""

    world: World
    port: int
    http: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    async def post(self, body: object, *, bearer: str | None = None, **headers: str) -> aiohttp.ClientResponse:
        """Post the body as JSON, or as it is when it is bytes."""
        sent = {"content-type": "application/json", "authorization": f"Bearer {bearer or token()}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        response = await self.http.post(self.url, data=content, headers={k: v for k, v in sent.items() if v})
        await response.read()
        return response

    async def get(
        self, parameters: dict[str, str], *, bearer: str | None = None, **headers: str
    ) -> aiohttp.ClientResponse:
        """Send a GET request."""
        sent = {"authorization": f"Bearer {bearer or token()}", **headers}
        response = await self.http.get(self.url, params=parameters, headers=sent)
        await response.read()
        return response

    async def answer(self, document: str, variables: Json | None = None, *, bearer: str | None = None) -> Json:
        """Return the whole answer to a document."""
        response = await self.post({"query": document, "variables": variables}, bearer=bearer)
        answer: Json = await response.json()
        return answer

    async def data(self, document: str, variables: Json | None = None, *, bearer: str | None = None) -> Json:
        """Return the data of an answer without errors."""
        answer = await self.answer(document, variables, bearer=bearer)
        assert "errors" not in answer, answer["errors"]
        data: Json = answer["data"]
        return data

    async def error(self, document: str, variables: Json | None = None, *, bearer: str | None = None) -> Json:
        """Return the only error of an answer."""
        (error,) = (await self.answer(document, variables, bearer=bearer))["errors"]
        return cast("Json", error)

    @asynccontextmanager
    async def socket(self, *, subprotocols: Iterable[str] = (SUBPROTOCOL,), **options: Any) -> "AsyncIterator[Socket]":
        """Open a websocket without sending a message."""
        protocols = [websockets.Subprotocol(name) for name in subprotocols]
        async with websockets.connect(
            self.url.replace("http", "ws"), subprotocols=protocols or None, **options
        ) as connection:
            yield Socket(connection)

    @asynccontextmanager
    async def conversation(self, bearer: str | None = None) -> "AsyncIterator[Socket]":
        """Open a websocket and authenticate it."""
        async with self.socket() as opened:
            await opened.introduce(bearer or token())
            yield opened


class Socket:
    """Raw frames of graphql-transport-ws."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def introduce(self, bearer: str) -> None:
        await self.send({"type": "connection_init", "payload": {"Authorization": f"Bearer {bearer}"}})
        assert await self.receive() == {"type": "connection_ack"}

    async def send(self, message: object) -> None:
        await self.connection.send(orjson.dumps(message).decode())

    async def subscribe(self, document: str, variables: Json | None = None, *, key: str = "1") -> None:
        await self.send({"id": key, "type": "subscribe", "payload": {"query": document, "variables": variables}})

    async def receive(self) -> Json:
        async with asyncio.timeout(DEADLINE_SECONDS):
            message: Json = orjson.loads(await self.connection.recv())
        return message

    async def next_data(self) -> Json:
        """Return the data of the next message, which must be a `next` without errors."""
        message = await self.receive()
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        data: Json = message["payload"]["data"]
        return data

    async def closed(self) -> int | None:
        """Return the code with which the server closes."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.connection.wait_closed()
        return self.connection.close_code


async def until(condition: Callable[[], object]) -> None:
    """Wait for the condition under the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in a server that sets no event for tests
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(
    world: World, *, limits: WebSocketLimits | None = None, sockets: OpenSockets | None = None
) -> AsyncIterator[int]:
    """Serve the API as its process does, until the block ends; yield the port."""
    services = world.services()
    settings = replace(services.settings, compiled_operations=COMPILED_OPERATIONS)
    tokens = HmacTokens(secret=SECRET, expected=ExpectedClaims(account_claim=world.account_claim))
    routes = create_graphql_routes(replace(services, settings=settings), tokens=tokens, sockets=sockets)
    app = Starlette(routes=routes)
    port = free_port()
    task = asyncio.create_task(
        serve(
            app,
            host="127.0.0.1",
            port=port,
            stop_within_seconds=DEADLINE_SECONDS,
            http_limits=HttpLimits(connections_max=1_000),
            websocket_limits=limits or LIMITS,
        )
    )
    try:
        await eventually(lambda: task.done() or is_taken(port), within_seconds=DEADLINE_SECONDS)
        yield port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def running_api(
    world: World | None = None, *, limits: WebSocketLimits | None = None, sockets: OpenSockets | None = None
) -> AsyncIterator[Api]:
    """Run the API until the block ends."""
    behind = world or World()
    async with serving(behind, limits=limits, sockets=sockets) as port, aiohttp.ClientSession() as http:
        yield Api(world=behind, port=port, http=http)
