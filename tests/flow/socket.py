"""A graphql-transport-ws client of raw frames, with which a test sees every message that a front end would receive."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

MESSAGE_TIMEOUT_SECONDS = 15.0

Json = dict[str, Any]


@dataclass(slots=True)
class Subscription:
    """One operation on a socket: the payloads of its `next` messages in order, and how it ended."""

    id: str
    received: asyncio.Queue[Json | None] = field(default_factory=asyncio.Queue)
    errors: list[Json] = field(default_factory=list)

    async def next(self, *, within_seconds: float = MESSAGE_TIMEOUT_SECONDS) -> Json:
        """Return the next payload's data. AssertionError when the operation has ended instead."""
        async with asyncio.timeout(within_seconds):
            payload = await self.received.get()
        assert payload is not None, f"the subscription ended: {self.errors}"
        assert "errors" not in payload, payload
        data: Json = payload["data"]
        return data

    async def rest(self, *, within_seconds: float = MESSAGE_TIMEOUT_SECONDS) -> list[Json]:
        """Everything until the operation completes."""
        taken = []
        async with asyncio.timeout(within_seconds):
            while (payload := await self.received.get()) is not None:
                taken.append(payload["data"])
        return taken


@dataclass(slots=True)
class GraphQLSocket:
    """An acknowledged connection."""

    connection: ClientConnection
    _subscriptions: dict[str, Subscription] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=itertools.count)

    async def subscribe(self, query: str, variables: Json | None = None) -> Subscription:
        """Start an operation."""
        subscription = Subscription(id=str(next(self._ids)))
        self._subscriptions[subscription.id] = subscription
        payload = {"query": query, "variables": variables or {}}
        await self.connection.send(json.dumps({"id": subscription.id, "type": "subscribe", "payload": payload}))
        return subscription

    async def read(self) -> None:
        """Pass messages to their operations until the connection ends; all open operations end with it."""
        try:
            async for frame in self.connection:
                self._take(json.loads(frame))
        finally:
            for subscription in self._subscriptions.values():
                subscription.received.put_nowait(None)

    def _take(self, message: Json) -> None:
        subscription = self._subscriptions.get(message.get("id", ""))
        if subscription is None:
            return
        match message["type"]:
            case "next":
                subscription.received.put_nowait(message["payload"])
            case "error":
                subscription.errors.extend(message["payload"])
                subscription.received.put_nowait(None)
            case "complete":
                subscription.received.put_nowait(None)


@asynccontextmanager
async def open_socket(url: str, *, token: str, sock: socket.socket | None = None) -> AsyncIterator[GraphQLSocket]:
    """Connect (over a socket of the test's own, when given), introduce oneself, and be acknowledged."""
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None, sock=sock) as connection:
        await connection.send(json.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}))
        async with asyncio.timeout(MESSAGE_TIMEOUT_SECONDS):
            answer = json.loads(await connection.recv())
        assert answer["type"] == "connection_ack", answer
        conversation = GraphQLSocket(connection)
        reading = asyncio.create_task(conversation.read())
        try:
            yield conversation
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
