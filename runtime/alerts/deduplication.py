"""Which process sends an alert that several see: the first to set its key in Redis.

Redis is a hint here as everywhere: without it every process sends, since twice is better than not at all.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from broadcast.redis_client import redis_client
from runtime.alerts.matching import Alert

PREFIX = "fillwire:alert"
ANSWER_TIMEOUT_SECONDS = 1.0
# Shorter than a process' own memory of what it sent, or its own key would suppress its own repetition.
KEY_LIFE_OF_REPEAT = 0.9


class AlertDeduplicator:
    """Keys in Redis of the alerts that some process sends or has sent; each expires after a while."""

    def __init__(self, redis: Redis, *, repeat_seconds: float) -> None:
        self._redis = redis
        self._life_ms = max(1, int(1000 * KEY_LIFE_OF_REPEAT * repeat_seconds))

    async def reserve(self, alerts: Sequence[Alert]) -> Sequence[Alert]:
        """Return the alerts that no other process has reserved; all of them when Redis does not answer."""
        pipeline = self._redis.pipeline(transaction=False)
        for alert in alerts:
            pipeline.set(_key(alert), "1", nx=True, px=self._life_ms)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                answers = await pipeline.execute()
        except (RedisError, OSError, TimeoutError):
            return alerts
        return [alert for alert, is_first in zip(alerts, answers, strict=True) if is_first]

    async def release(self, alerts: Iterable[Alert]) -> None:
        """Delete the keys of alerts that no channel delivered, so that any process may send them."""
        keys = [_key(alert) for alert in alerts]
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                await self._redis.delete(*keys)


@asynccontextmanager
async def open_deduplicator(address: str, *, repeat_seconds: float) -> AsyncIterator[AlertDeduplicator]:
    """Open a deduplicator with a connection of its own, which is made at the first use."""
    redis = redis_client(
        address,
        socket_timeout=ANSWER_TIMEOUT_SECONDS,
        socket_connect_timeout=ANSWER_TIMEOUT_SECONDS,
        max_connections=1,
    )
    try:
        yield AlertDeduplicator(redis, repeat_seconds=repeat_seconds)
    finally:
        with suppress(RedisError, OSError):
            await redis.aclose()


def _key(alert: Alert) -> str:
    return f"{PREFIX}:{alert.kind.name}:{alert.fingerprint}"
