"""The port ChangePublisher over Redis: a bounded buffer, and one task that sends its content.

A message is a hint. So publishing never waits and never fails for its caller: changes that Redis does not accept in
time are dropped and counted, and subscribers read them from the database.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from broadcast.envelope import MessageSigner
from broadcast.messages import encode
from broadcast.redis_client import redis_client
from broadcast.settings import PublisherSettings
from domain.model.changes import RecordedChange
from domain.ports.telemetry import Metric, Telemetry
from domain.services.task_cancellation import was_cancelled


@asynccontextmanager
async def open_publisher(
    redis_url: str, *, signer: MessageSigner, settings: PublisherSettings, telemetry: Telemetry
) -> AsyncIterator["RedisPublisher"]:
    """Open a publisher with its sending task; on exit what is still in the buffer is sent, for a bounded time."""
    redis = redis_client(
        redis_url,
        socket_connect_timeout=settings.connect_timeout_seconds,
        socket_timeout=settings.send_timeout_seconds,
        # A message that was perhaps sent is not sent again: the next one is more useful.
        retry=Retry(NoBackoff(), 0),
    )
    async with redis, asyncio.TaskGroup() as tasks:
        publisher = RedisPublisher(redis, signer=signer, settings=settings, telemetry=telemetry)
        sending = tasks.create_task(publisher.send_batches(), name="publisher")
        try:
            yield publisher
        finally:
            await publisher.flush()
            sending.cancel()


class RedisPublisher:
    """Publishes changes to every API process."""

    def __init__(
        self, redis: Redis, *, signer: MessageSigner, settings: PublisherSettings, telemetry: Telemetry
    ) -> None:
        self._redis = redis
        self._signer = signer
        self._settings = settings
        self._telemetry = telemetry
        self._buffer: deque[RecordedChange] = deque()
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()

    def publish(self, changes: Sequence[RecordedChange]) -> None:
        """Send the changes of one commit soon. Never waits or raises; what does not fit into the buffer is dropped."""
        room = self._settings.buffer_max_changes - len(self._buffer)
        if room < len(changes):
            self._telemetry.count(Metric.PUBLISHES_FAILED, len(changes) - max(room, 0))
        self._buffer.extend(changes[: max(room, 0)])
        if self._buffer:
            self._filled.set()
            self._emptied.clear()

    async def flush(self) -> None:
        """Wait until everything is sent or dropped, at most as long as the settings allow."""
        try:
            async with asyncio.timeout(self._settings.flush_timeout_seconds):
                await self._emptied.wait()
        except TimeoutError:
            self._telemetry.count(Metric.PUBLISHES_FAILED, len(self._buffer))
            self._telemetry.warning(
                "publishes_dropped", changes=len(self._buffer), next="subscribers read them from the database"
            )

    async def send_batches(self) -> None:
        """Send batch after batch, until cancelled."""
        while not was_cancelled():
            await self._filled.wait()
            batch = self._next_batch()
            await self._send(batch)
            if not self._buffer:
                self._filled.clear()
                self._emptied.set()
            if self._settings.pause_seconds and len(self._buffer) < self._settings.batch_max_changes:
                await asyncio.sleep(self._settings.pause_seconds)

    def _next_batch(self) -> Sequence[RecordedChange]:
        size = min(len(self._buffer), self._settings.batch_max_changes)
        return [self._buffer.popleft() for _ in range(size)]

    async def _send(self, batch: Sequence[RecordedChange]) -> None:
        """Send one message for each account (or a few) in one pipeline; the order within an account is preserved."""
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for changes in _by_account(batch).values():
                        for some in _at_most(self._settings.message_max_changes, changes):
                            message = encode(some, signer=self._signer)
                            pipeline.publish(message.channel, message.raw)
                    await pipeline.execute()
        except Exception as error:  # noqa: BLE001 - a hint that is not sent must not end the process, with any error of the client
            self._note_failure(error, batch)
            return
        self._telemetry.count(Metric.CHANGES_PUBLISHED, len(batch))

    def _note_failure(self, error: Exception, batch: Sequence[RecordedChange]) -> None:
        self._telemetry.count(Metric.PUBLISHES_FAILED, len(batch))
        self._telemetry.warning(
            "publish_failed",
            changes=len(batch),
            error=f"{type(error).__name__}: {error}",
            next="dropped until Redis answers; subscribers read them from the database",
        )


def _by_account(changes: Sequence[RecordedChange]) -> dict[str, list[RecordedChange]]:
    by_account: dict[str, list[RecordedChange]] = {}
    for change in changes:
        by_account.setdefault(change.order.account_id, []).append(change)
    return by_account


def _at_most(count: int, changes: Sequence[RecordedChange]) -> Iterator[Sequence[RecordedChange]]:
    for start in range(0, len(changes), count):
        yield changes[start : start + count]
