"""Somebody who can write to Redis silences alerts: the key that says that another process sends one."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from broadcast.envelope import MessageSigner
from runtime.alerts.deduplication import KEY_LIFE_OF_REPEAT, PREFIX, AlertDeduplicator
from runtime.alerts.kinds import ALERTS
from runtime.alerts.matching import Alert, alert_of

REPEAT_SECONDS = 60.0
NOW = 1_800_000_000.0
OLD, NEW = b"o" * 32, b"n" * 32
BROKEN, OTHER = (alert_of(ALERTS["audit_trail_broken"], {"account": account}) for account in ("alice", "bob"))


def key_of(alert: Alert) -> str:
    return f"{PREFIX}:{alert.kind.name}:{alert.fingerprint}"


def a_process(redis: Redis, *keys: bytes, at: float = NOW, repeat_seconds: float = REPEAT_SECONDS) -> AlertDeduplicator:
    """A process with these keys whose clock stands still."""
    signer = MessageSigner(keys or (NEW,))
    return AlertDeduplicator(redis, signer=signer, repeat_seconds=repeat_seconds, clock=lambda: at)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


async def value_of(redis: Redis, alert: Alert = BROKEN, *, key: bytes = NEW) -> bytes:
    """The value that a process with this key sets, and that somebody who reads Redis then has."""
    assert await a_process(redis, key).reserve([alert]) == [alert]
    value = await redis.getdel(key_of(alert))
    assert isinstance(value, bytes)
    return value


async def assert_is_told_once(redis: Redis, *, at: float = NOW) -> None:
    """Whatever is there: one process tells it, the next one does not, and the key expires."""
    assert await a_process(redis, at=at).reserve([OTHER, BROKEN]) == [OTHER, BROKEN]
    assert await a_process(redis, at=at).reserve([BROKEN, OTHER]) == []
    assert 0 < await redis.pttl(key_of(BROKEN)) <= 1000 * REPEAT_SECONDS


@pytest.mark.parametrize("written", ["1", "", ":", "x" * 100, f"{10**30}:{'0' * 64}", "x" * 10_000_000])
async def test_a_key_that_none_of_ours_has_written_silences_no_alert(redis: Redis, written: str) -> None:
    await redis.set(key_of(BROKEN), written)

    await assert_is_told_once(redis)


async def test_a_key_that_holds_no_text_silences_no_alert(redis: Redis) -> None:
    await redis.rpush(key_of(BROKEN), "1")  # type: ignore[misc] # redis types it as perhaps synchronous

    await assert_is_told_once(redis)


async def test_a_value_of_another_alert_or_of_another_installation_silences_no_alert(redis: Redis) -> None:
    for value in (await value_of(redis, OTHER), await value_of(redis, key=OLD)):
        await redis.set(key_of(BROKEN), value)

        await assert_is_told_once(redis)
        await redis.delete(key_of(BROKEN), key_of(OTHER))


async def test_a_value_whose_deadline_was_moved_silences_no_alert(redis: Redis) -> None:
    deadline, _, mac = (await value_of(redis)).partition(b":")
    await redis.set(key_of(BROKEN), b"%d:%b" % (int(deadline) + 1, mac))

    await assert_is_told_once(redis)


async def test_a_value_of_ours_silences_until_its_deadline_and_no_longer(redis: Redis) -> None:
    deadline = NOW + KEY_LIFE_OF_REPEAT * REPEAT_SECONDS
    await redis.set(key_of(BROKEN), await value_of(redis))

    assert await a_process(redis, at=deadline - 0.001).reserve([BROKEN]) == []
    await assert_is_told_once(redis, at=deadline)


async def test_a_value_further_ahead_than_an_alert_is_silent_counts_for_nothing(redis: Redis) -> None:
    ahead = a_process(redis, at=NOW + REPEAT_SECONDS)
    assert await ahead.reserve([BROKEN]) == [BROKEN]

    await assert_is_told_once(redis)


async def test_while_the_key_is_changed_an_alert_is_told_once(redis: Redis) -> None:
    assert await a_process(redis, OLD, NEW).reserve([BROKEN]) == [BROKEN]
    assert await a_process(redis, NEW, OLD).reserve([BROKEN, OTHER]) == [OTHER]
    assert await a_process(redis, OLD, NEW).reserve([OTHER]) == []
