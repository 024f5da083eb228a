"""An attacker with write access to Redis suppresses alerts by the key that marks one as sent."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from broadcast.envelope import MessageSigner
from runtime.alerts.deduplication import KEY_LIFE_OF_REPEAT, PREFIX, AlertDeduplicator
from runtime.alerts.grouping import CASES_NAMED_MAX, LastMessage

REPEAT_SECONDS = 60.0
NOW = 1_800_000_000.0
OLD, NEW = b"o" * 32, b"n" * 32
KIND, OTHER_KIND = "audit_trail_broken", "order_failed"
KEY = f"{PREFIX}:{KIND}"
CASES = tuple(f"{number:032x}" for number in range(CASES_NAMED_MAX))


def a_process(redis: Redis, *keys: bytes, at: float = NOW, repeat_seconds: float = REPEAT_SECONDS) -> AlertDeduplicator:
    """Return a process with these keys and a fixed clock."""
    signer = MessageSigner(keys or (NEW,))
    return AlertDeduplicator(redis, signer=signer, repeat_seconds=repeat_seconds, clock=lambda: at)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as redis:
        yield redis


async def reserves(process: AlertDeduplicator, kind: str = KIND) -> bool:
    """Whether this process may send a message of the kind now."""
    return await process.reserve(kind, CASES, now=0) is None


async def value_of(redis: Redis, kind: str = KIND, *, key: bytes = NEW) -> bytes:
    """Return the value that a process with this key sets, and that a client with read access to Redis gets."""
    assert await reserves(a_process(redis, key), kind)
    value = await redis.getdel(f"{PREFIX}:{kind}")
    assert isinstance(value, bytes)
    return value


async def assert_is_sent_once(redis: Redis, *, at: float = NOW) -> None:
    """Assert that with any content of the key one process sends, the next one does not, and the key expires."""
    assert await reserves(a_process(redis, at=at))
    assert not await reserves(a_process(redis, at=at))
    assert 0 < await redis.pttl(KEY) <= 1000 * REPEAT_SECONDS


async def test_another_process_learns_which_cases_were_named_and_when_the_next_message_may_follow(
    redis: Redis,
) -> None:
    assert await reserves(a_process(redis))

    other = await a_process(redis, at=NOW + 10).reserve(KIND, (), now=1000)

    assert other == LastMessage(next_at=1000 + REPEAT_SECONDS - 10, named=frozenset(CASES))


@pytest.mark.parametrize(
    "written", ["1", "", ":", "::", "x" * 100, f"{10**30}:{'0' * 64}", f"{10**13}::{'0' * 64}", "x" * 10_000_000]
)
async def test_a_key_that_fillwire_did_not_write_suppresses_no_alert(redis: Redis, written: str) -> None:
    await redis.set(KEY, written)

    await assert_is_sent_once(redis)


async def test_a_key_that_holds_no_text_silences_no_alert(redis: Redis) -> None:
    await redis.rpush(KEY, "1")  # type: ignore[misc] # redis types it as perhaps synchronous

    await assert_is_sent_once(redis)


async def test_a_value_of_another_kind_or_of_another_installation_silences_no_alert(redis: Redis) -> None:
    for value in (await value_of(redis, OTHER_KIND), await value_of(redis, key=OLD)):
        await redis.set(KEY, value)

        await assert_is_sent_once(redis)
        await redis.delete(KEY)


async def test_a_value_whose_deadline_or_cases_were_changed_silences_no_alert(redis: Redis) -> None:
    deadline, cases, mac = (await value_of(redis)).split(b":")
    for changed in (b"%d:%b:%b" % (int(deadline) + 1, cases, mac), b"%b:%b,%b:%b" % (deadline, cases, b"f" * 32, mac)):
        await redis.set(KEY, changed)

        await assert_is_sent_once(redis)
        await redis.delete(KEY)


async def test_a_value_of_ours_suppresses_until_its_deadline(redis: Redis) -> None:
    deadline = NOW + KEY_LIFE_OF_REPEAT * REPEAT_SECONDS
    await redis.set(KEY, await value_of(redis))

    assert not await reserves(a_process(redis, at=deadline - 0.001))
    await assert_is_sent_once(redis, at=deadline)


async def test_a_value_further_ahead_than_an_alert_is_silent_counts_for_nothing(redis: Redis) -> None:
    assert await reserves(a_process(redis, at=NOW + REPEAT_SECONDS))

    await assert_is_sent_once(redis)


async def test_while_the_key_is_changed_an_alert_is_sent_once(redis: Redis) -> None:
    assert await reserves(a_process(redis, OLD, NEW))
    assert not await reserves(a_process(redis, NEW, OLD))
    assert await reserves(a_process(redis, NEW, OLD), OTHER_KIND)
    assert not await reserves(a_process(redis, OLD, NEW), OTHER_KIND)
