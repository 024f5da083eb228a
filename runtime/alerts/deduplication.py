"""Which process sends an alert that several see: the first to set its key in Redis.

Redis is a hint here as everywhere: without it every process sends, since twice is better than not at all. The value of
a key is `<deadline>:<mac>`: until when it counts, in milliseconds since 1970, signed together with the key. A value
that is not signed here, or whose deadline has passed, counts for nothing, whatever its expiry in Redis is.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from broadcast.envelope import MessageSigner
from broadcast.redis_client import redis_client
from runtime.alerts.matching import Alert

PREFIX = "fillwire:alert"
ANSWER_TIMEOUT_SECONDS = 1.0
# Shorter than a process' own memory of what it sent, or its own key would suppress its own repetition.
KEY_LIFE_OF_REPEAT = 0.9
VALUE_MAX_BYTES = 128
"""More than a deadline and its signature have. No more is read of what may be anything of any size."""


class AlertDeduplicator:
    """Keys in Redis of the alerts that some process sends or has sent; each expires after a while."""

    def __init__(
        self, redis: Redis, *, signer: MessageSigner, repeat_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._signer = signer
        self._repeat_ms = 1000 * repeat_seconds
        self._life_ms = max(1, int(KEY_LIFE_OF_REPEAT * self._repeat_ms))
        self._clock = clock

    async def reserve(self, alerts: Sequence[Alert]) -> Sequence[Alert]:
        """Return the alerts that no other process has reserved; all of them when Redis does not answer."""
        values = {_key(alert): self._value(_key(alert)) for alert in alerts}
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                reserved_by_others = await self._set_unless_reserved(values)
        except (RedisError, OSError, TimeoutError):
            return alerts
        return [alert for alert in alerts if _key(alert) not in reserved_by_others]

    async def _set_unless_reserved(self, values: Mapping[str, bytes]) -> AbstractSet[str]:
        """Set these keys, and return those that others of ours have set and that still count: they stay as they are."""
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in values.items():
            pipeline.set(key, value, nx=True, px=self._life_ms)
            pipeline.getrange(key, 0, VALUE_MAX_BYTES)
        answers = await pipeline.execute(raise_on_error=False)  # a key that somebody made a list is an error of its own
        found = {key: read for key, is_set, read in zip(values, answers[::2], answers[1::2], strict=True) if not is_set}
        reserved = {key for key, read in found.items() if self._counts(key, read)}
        for key in found.keys() - reserved:
            pipeline.set(key, values[key], px=self._life_ms)
        await pipeline.execute(raise_on_error=False)
        return reserved

    def _value(self, key: str) -> bytes:
        deadline = b"%d" % (1000 * self._clock() + self._life_ms)
        return deadline + b":" + self._signer.mac(key.encode(), deadline)

    def _counts(self, key: str, value: object) -> bool:
        if not isinstance(value, bytes):
            return False
        deadline, _, mac = value.partition(b":")
        if not self._signer.has_made(mac, key.encode(), deadline):
            return False
        return 0 < int(deadline) - 1000 * self._clock() <= self._repeat_ms

    async def release(self, alerts: Iterable[Alert]) -> None:
        """Delete the keys of alerts that no channel delivered, so that any process may send them."""
        keys = [_key(alert) for alert in alerts]
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                await self._redis.delete(*keys)


@asynccontextmanager
async def open_deduplicator(
    address: str, *, signer: MessageSigner, repeat_seconds: float
) -> AsyncIterator[AlertDeduplicator]:
    """Open a deduplicator with a connection of its own, which is made at the first use."""
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


def _key(alert: Alert) -> str:
    return f"{PREFIX}:{alert.kind.name}:{alert.fingerprint}"
