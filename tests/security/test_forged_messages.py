"""An attacker with write access to Redis publishes messages: no subscriber receives them, and none misses a real
change.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from broadcast.envelope import MESSAGE_MAX_BYTES, Message, MessageSigner
from broadcast.messages import encode
from broadcast.shards import SHARD_COUNT, channel_of, shard_of
from domain.model.changes import RecordedChange
from domain.model.order import OrderStatus
from domain.ports.notifications import Checkpoint
from domain.ports.telemetry import Metric
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.live_feeds import UNHURRIED, Collected, Listening, a_feed, following, following_order
from tests.support.processes import eventually
from tests.support.signed_messages import SIGNER, a_message, signed

WITHIN_SECONDS = 20.0
ORDER = a_snapshot()
CHANNEL = channel_of(shard_of("demo"))
STRANGER = b"a key of somebody else's installation"
SETTLED_SECONDS = 0.1
NEVER_AGAIN = replace(UNHURRIED, unproved_pause_seconds=3_600, silence_seconds=WITHIN_SECONDS)
"""A busy machine loses no link by being slow: a new link reads the database, which these tests count."""

Publish = Callable[[Message], Awaitable[None]]


@asynccontextmanager
async def a_subscriber(
    redis_url: str, log: ChangeHistory, *, signer: MessageSigner = SIGNER
) -> AsyncIterator[tuple[Listening, Collected, Publish]]:
    """Return a subscriber of the account that relies on messages only; and a plain client that publishes."""
    async with (
        Redis.from_url(redis_url) as redis,
        a_feed(log, signer=signer, settings=NEVER_AGAIN, redis_url=redis_url) as listening,
        following(listening) as subscriber,
    ):

        async def is_subscribed() -> bool:
            return bool((await redis.pubsub_numsub(CHANNEL))[0][1])

        async def publish(message: Message) -> None:
            assert await redis.publish(message.channel, message.raw) == 1

        await subscriber.has(1)
        await eventually(is_subscribed, within_seconds=WITHIN_SECONDS)

        async def is_settled() -> bool:
            # Until its subscription is confirmed the hub compares with the database at a quick pace, and once after.
            before = log.reads
            await asyncio.sleep(SETTLED_SECONDS)
            return listening.hub.is_linked and log.comparisons > 0 and log.reads == before

        await eventually(is_settled, within_seconds=WITHIN_SECONDS)
        yield listening, subscriber, publish


async def are_refused(listening: Listening, count: int, **labels: str) -> None:
    await eventually(
        lambda: listening.telemetry.counted(Metric.MESSAGES_REFUSED, **labels) >= count, within_seconds=WITHIN_SECONDS
    )


def log_with(count: int) -> ChangeHistory:
    log = ChangeHistory()
    for _ in range(count):
        log.append(ORDER)
    return log


def forged(log: ChangeHistory) -> RecordedChange:
    """Return the next change, with a final status that the order never had."""
    last = log.changes["demo"][-1]
    order = replace(last.order, status=OrderStatus.FILLED, version=last.order.version + 1)
    return replace(last, sequence=last.sequence + 1, order=order)


def unsigned(content: Mapping[str, Any]) -> bytes:
    """Return the message of the release before signatures."""
    return orjson.dumps({"v": content["v"], **content})


def forgeries(log: ChangeHistory) -> dict[str, bytes]:
    change = forged(log)
    content = a_message(change)
    genuine = encode([log.changes["demo"][-1]], signer=SIGNER).raw
    nan = a_message(change)
    nan["changes"][0]["order"]["notional"] = "NaN"
    stolen = signed(content).raw.replace(signed(content).raw[8:72], genuine[8:72])
    return {
        "as the release before did": unsigned(content),
        "with the key of another installation": signed(content, key=STRANGER).raw,
        "with no key": signed(content, key=b"").raw,
        "with the signature of a genuine message": stolen,
        "with NaN": unsigned(nan),
        "with NaN and another key": signed(nan, key=STRANGER).raw,
        "with a position far ahead": signed(content | {"newest": 2**62}, key=STRANGER).raw,
        "no JSON": b'{"mac":"' + b"0" * 64 + b'","account":"demo","newest":',
        "bytes": b"\xff\xfe\x00",
        "empty": b"",
        "very long": genuine.ljust(MESSAGE_MAX_BYTES + 1),
        "nested": b"[" * 100_000,
    }


@pytest.mark.parametrize("kind", forgeries(log_with(2)))
async def test_a_forged_message_is_counted_and_the_true_one_is_delivered(kind: str, redis_url: str) -> None:
    log = log_with(2)
    async with a_subscriber(redis_url, log) as (listening, subscriber, publish):
        reads = log.reads
        await publish(Message(channel=CHANNEL, raw=forgeries(log)[kind]))
        await are_refused(listening, 1)
        third = log.append(ORDER)
        await publish(encode([third], signer=SIGNER))

        await subscriber.has(2)

        assert subscriber.items == [Checkpoint(sequence=2), third]
        assert log.reads == reads
        [said] = listening.telemetry.said("message_refused")
        assert said["channel"] == CHANNEL.decode()


async def test_a_forged_final_status_does_not_end_the_stream_of_an_order(redis_url: str) -> None:
    log = log_with(2)
    async with (
        a_subscriber(redis_url, log) as (listening, _, publish),
        following_order(listening, ORDER.id) as subscriber,
    ):
        await subscriber.has(1)
        for message in forgeries(log).values():
            await publish(Message(channel=CHANNEL, raw=message))
        await are_refused(listening, len(forgeries(log)))
        third = log.append(ORDER)
        await publish(encode([third], signer=SIGNER))

        await subscriber.has(2)

        assert subscriber.items[1:] == [third]
        assert not subscriber.is_over


async def test_a_flood_of_forged_messages_leads_to_no_read_of_the_database(redis_url: str) -> None:
    log = log_with(2)
    async with a_subscriber(redis_url, log) as (listening, subscriber, publish):
        reads = log.reads
        for number in range(300):
            await publish(signed(a_message(forged(log)) | {"newest": 100 + number}, key=STRANGER))
        await are_refused(listening, 300, cause="signature")
        third = log.append(ORDER)
        await publish(encode([third], signer=SIGNER))

        await subscriber.has(2)

        assert log.reads == reads
        assert listening.telemetry.counted(Metric.REREADS) == 0


async def test_a_genuine_message_that_is_published_again_is_delivered_once(redis_url: str) -> None:
    log = log_with(1)
    async with a_subscriber(redis_url, log) as (listening, subscriber, publish):
        messages = [encode([log.append(ORDER)], signer=SIGNER) for _ in range(3)]
        for message in (*messages, *messages, messages[0]):
            await publish(message)
        last = log.append(ORDER)
        await publish(encode([last], signer=SIGNER))

        await subscriber.has(5)

        assert subscriber.items == [Checkpoint(sequence=1), *log.changes["demo"][1:]]
        assert listening.telemetry.counted(Metric.REREADS) == 0


async def test_a_genuine_message_is_refused_on_another_channel_and_for_another_account(redis_url: str) -> None:
    log = log_with(1)
    neighbour = next(name for name in map(str, range(10_000)) if shard_of(name) == shard_of("demo"))
    elsewhere = channel_of((shard_of("demo") + 1) % SHARD_COUNT)
    foreign = encode([ChangeHistory().append(a_snapshot(2, account_id=neighbour))], signer=SIGNER)
    async with a_subscriber(redis_url, log) as (listening, subscriber, publish):
        second = encode([log.append(ORDER)], signer=SIGNER)
        # Signed for another channel, as if it had been recorded there.
        await publish(Message(channel=CHANNEL, raw=encode_for(elsewhere, log).raw))
        await publish(Message(channel=CHANNEL, raw=foreign.raw.replace(neighbour.encode(), b"demo")))
        await are_refused(listening, 2, cause="signature")
        await publish(second)

        await subscriber.has(2)

        assert subscriber.items[1:] == [log.changes["demo"][1]]


def encode_for(channel: bytes, log: ChangeHistory) -> Message:
    content = a_message(forged(log))
    return SIGNER.seal(channel=channel, account_id="demo", newest=content["newest"], changes=content["changes"])


async def test_messages_of_accounts_without_subscribers_are_not_verified(redis_url: str) -> None:
    log = log_with(1)
    neighbour = next(name for name in map(str, range(10_000)) if shard_of(name) == shard_of("demo"))
    content = a_message(ChangeHistory().append(a_snapshot(2, account_id=neighbour)))
    async with a_subscriber(redis_url, log) as (listening, subscriber, publish):
        await publish(signed(content, key=STRANGER, account_id=neighbour))
        await publish(encode([log.append(ORDER)], signer=SIGNER))

        await subscriber.has(2)

        assert listening.telemetry.counted(Metric.MESSAGES_REFUSED) == 0


async def test_while_keys_are_rotated_messages_of_both_are_delivered_and_afterwards_only_of_the_new_one(
    redis_url: str,
) -> None:
    old, new = MessageSigner([b"o" * 32]), MessageSigner([b"n" * 32])
    log = log_with(1)
    async with a_subscriber(redis_url, log, signer=MessageSigner([b"n" * 32, b"o" * 32])) as (_, subscriber, publish):
        await publish(encode([log.append(ORDER)], signer=old))
        await publish(encode([log.append(ORDER)], signer=new))
        await subscriber.has(3)
        assert subscriber.items[1:] == log.changes["demo"][1:]

    async with a_subscriber(redis_url, log, signer=new) as (listening, subscriber, publish):
        await publish(encode([forged(log)], signer=old))
        await are_refused(listening, 1, cause="signature")
        await publish(encode([log.append(ORDER)], signer=new))
        await subscriber.has(2)
        assert subscriber.items[1:] == [log.changes["demo"][-1]]


async def test_a_signed_message_that_cannot_be_read_leads_to_the_database_and_ends_no_stream(redis_url: str) -> None:
    log = log_with(1)
    async with a_subscriber(redis_url, log) as (listening, subscriber, publish):
        second = log.append(ORDER)
        content = a_message(second)
        content["changes"][0]["order"]["filled_quantity"] = "NaN"
        await publish(signed(content))

        await subscriber.has(2)

        assert subscriber.items[1:] == [second]
        assert listening.telemetry.counted(Metric.MESSAGES_REFUSED, cause="content") == 1


async def test_a_signed_position_ahead_of_the_database_is_counted_and_read_once_for_any_number_of_repeats(
    redis_url: str,
) -> None:
    log = log_with(1)
    async with a_subscriber(redis_url, log) as (listening, subscriber, publish):
        reads = log.reads
        ahead = a_message(forged(log))
        ahead["changes"][0]["sequence"] = 2**62
        for number in range(200):
            await publish(signed(ahead | {"newest": 2**62 + number}))
        await eventually(
            lambda: listening.telemetry.counted(Metric.POSITIONS_AHEAD, cause="announced") == 1,
            within_seconds=WITHIN_SECONDS,
        )
        for number in range(200):
            await publish(signed(ahead | {"newest": 2**62 + number}))
        second = log.append(ORDER)
        await publish(encode([second], signer=SIGNER))

        await subscriber.has(2)

        assert subscriber.items[1:] == [second]
        assert log.reads == reads + 1
        [said] = listening.telemetry.said("position_ahead")
        assert said["stored"] == 1


async def test_a_change_that_is_missed_after_a_position_ahead_is_read_when_the_pause_is_over(redis_url: str) -> None:
    log = log_with(1)
    async with (
        a_feed(log, settings=UNHURRIED, redis_url=redis_url) as listening,
        following(listening) as subscriber,
    ):
        await subscriber.has(1)
        listening.hub.receive(signed(a_message(forged(log)) | {"newest": 2**62, "changes": []}))
        await eventually(
            lambda: listening.telemetry.counted(Metric.POSITIONS_AHEAD) == 1, within_seconds=WITHIN_SECONDS
        )
        log.append(ORDER)
        listening.hub.receive(encode([log.append(ORDER)], signer=SIGNER))

        await subscriber.has(3)

        assert subscriber.items[1:] == log.changes["demo"][1:]
