"""One pub/sub connection to Redis, from opening to its loss. It never reconnects: a new connection is a new object.

redis-py's own PubSub reconnects and resubscribes automatically, and messages published in between are silently lost.
Here the owner detects every loss, and before every confirmed subscription messages may be missing.

The heartbeat is our own PING on this connection, answered in order with the messages. It needs no publisher that sends
heartbeats to 64 channels, and it tests whether messages of Redis arrive on this connection.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from broadcast.envelope import Message
from broadcast.redis_client import redis_pool
from broadcast.settings import HubSettings
from broadcast.shards import channel_of, shard_of_channel

LINK_ERRORS = (RedisError, OSError)
"""All that a link can fail with; a time-out is an OSError."""

_MESSAGE_PARTS = 3


class LinkSilentError(OSError):
    """No message arrived for longer than the settings allow, not even an answer to a ping."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """From now on the shard's messages arrive; what was published before may be missing."""

    shard: int


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life without content."""


Event = Message | Subscribed | Beat


@asynccontextmanager
async def open_link(redis_url: str, settings: HubSettings) -> AsyncIterator["RedisLink"]:
    """Connect, and disconnect at the end. Raises one of LINK_ERRORS."""
    pool = redis_pool(
        redis_url,
        socket_connect_timeout=settings.connect_timeout_seconds,
        socket_timeout=None,
        retry=Retry(NoBackoff(), 0),
    )
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call] # untyped in the library
    try:
        # The kernel accepts connections of a stopped server, so the handshake needs a time-out as well.
        async with asyncio.timeout(settings.connect_timeout_seconds):
            await connection.connect()  # type: ignore[no-untyped-call] # untyped in the library
        yield RedisLink(connection, settings)
    finally:
        with suppress(*LINK_ERRORS):
            await connection.disconnect(nowait=True)


class RedisLink:
    """An open connection. Reading and writing may run in different tasks."""

    def __init__(self, connection: AbstractConnection, settings: HubSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._shards: frozenset[int] = frozenset()
        self._clock = asyncio.get_running_loop().time
        self._received_at = self._clock()

    async def read(self) -> Event:
        """Wait for the next message of Redis. `check` bounds the wait."""
        response = await self._connection.read_response(disconnect_on_error=False)
        self._received_at = self._clock()
        if not isinstance(response, list) or len(response) != _MESSAGE_PARTS:
            return Beat()
        kind, channel, content = response
        if kind == b"message":
            return Message(channel=channel, raw=content)
        shard = shard_of_channel(channel) if kind == b"subscribe" else None
        return Beat() if shard is None else Subscribed(shard)

    async def listen_to(self, shards: Collection[int]) -> None:
        """Change the subscriptions to exactly these shards."""
        wanted = frozenset(shards)
        await self._send("SUBSCRIBE", wanted - self._shards)
        await self._send("UNSUBSCRIBE", self._shards - wanted)
        self._shards = wanted

    async def check(self) -> None:
        """Raise LinkSilentError when the connection is dead; else send a ping."""
        silence = self._clock() - self._received_at
        if silence > self._settings.silence_seconds:
            raise LinkSilentError(f"nothing received for {silence:.1f} s")
        await self._write("PING")

    async def _send(self, command: str, shards: Collection[int]) -> None:
        if shards:
            await self._write(command, *(channel_of(shard) for shard in sorted(shards)))

    async def _write(self, *command: str | bytes) -> None:
        async with asyncio.timeout(self._settings.silence_seconds):
            await self._connection.send_command(*command)
