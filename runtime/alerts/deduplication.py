"""Which process sends a message that several may send: the first to set the kind's key in Redis.

Redis is only a hint: without it every process sends, since a repeated message is better than none. The value of a key
is `<deadline>:<fingerprints>:<mac>`: the end of its validity, in milliseconds since 1970, and the cases that the
message names, signed together with the key. A value without a valid signature, or whose deadline has passed, is
ignored, regardless of its expiry in Redis.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from broadcast.envelope import MessageSigner
from broadcast.redis_client import redis_client
from runtime.alerts.grouping import LastMessage

PREFIX = "fillwire:alert"
ANSWER_TIMEOUT_SECONDS = 1.0
# The rest is how far the clocks of two processes may differ.
KEY_LIFE_OF_REPEAT = 0.9
VALUE_MAX_BYTES = 300
"""More than a deadline, five fingerprints and a signature have. No more is read of what may be anything of any size."""


class AlertDeduplicator:
    """Keys in Redis of the kinds of which some process sends or has sent a message; each expires after a while."""

    def __init__(
        self, redis: Redis, *, signer: MessageSigner, repeat_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._signer = signer
        self._repeat_ms = 1000 * repeat_seconds
        self._life_ms = max(1, int(KEY_LIFE_OF_REPEAT * self._repeat_ms))
        self._clock = clock

    async def reserve(self, kind: str, named: Iterable[str], *, now: float) -> LastMessage | None:
        """Reserve the kind for a message that names these cases; return the message of another process instead, if any.

        `now` and the returned `next_at` are in seconds of the caller's clock. None also when Redis does not answer.
        """
        key = _key(kind)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                return await self._set_unless_reserved(key, self._value(key, named), now)
        except (RedisError, OSError, TimeoutError):
            return None

    async def _set_unless_reserved(self, key: str, value: bytes, now: float) -> LastMessage | None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.set(key, value, nx=True, px=self._life_ms)
        pipeline.getrange(key, 0, VALUE_MAX_BYTES)
        is_set, found = await pipeline.execute(raise_on_error=False)  # a key with the type of a list is an error
        other = None if is_set is True else self._read(key, found, now)
        if is_set is not True and other is None:
            await self._redis.set(key, value, px=self._life_ms)
        return other

    def _value(self, key: str, named: Iterable[str]) -> bytes:
        signed = b"%d:%b" % (1000 * self._clock() + self._life_ms, ",".join(named).encode())
        return signed + b":" + self._signer.mac(key.encode(), signed)

    def _read(self, key: str, value: object, now: float) -> LastMessage | None:
        signed, _, mac = value.rpartition(b":") if isinstance(value, bytes) else (b"", b"", b"")
        if not self._signer.has_made(mac, key.encode(), signed):
            return None
        deadline, _, named = signed.partition(b":")
        left_ms = int(deadline) - 1000 * self._clock()
        if not 0 < left_ms <= self._repeat_ms:
            return None
        next_at = now + (left_ms + self._repeat_ms - self._life_ms) / 1000
        return LastMessage(next_at=next_at, named=frozenset(named.decode().split(",")))

    async def release(self, kinds: Iterable[str]) -> None:
        """Delete the keys of kinds whose message no channel delivered, so that any process may send the next one."""
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                await self._redis.delete(*(_key(kind) for kind in kinds))


@asynccontextmanager
async def open_deduplicator(
    address: str, *, signer: MessageSigner, repeat_seconds: float
) -> AsyncIterator[AlertDeduplicator]:
    """Open a deduplicator with its own connection, which is made at the first use."""
    redis = redis_client(
        address,
        socket_timeout=ANSWER_TIMEOUT_SECONDS,
        socket_connect_timeout=ANSWER_TIMEOUT_SECONDS,
        max_connections=1,
    )
    try:
        yield AlertDeduplicator(redis, signer=signer, repeat_seconds=repeat_seconds)
    finally:
        with suppress(RedisError, OSError):
            await redis.aclose()


def _key(kind: str) -> str:
    return f"{PREFIX}:{kind}"
