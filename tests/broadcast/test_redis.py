"""Publisher and hub over a real Valkey: changes are delivered, also when the server or the connection fails."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError

from broadcast.envelope import Message
from broadcast.messages import decode
from broadcast.publisher import RedisPublisher, open_publisher
from broadcast.settings import PublisherSettings
from broadcast.shards import channel_of, shard_of
from domain.model.changes import RecordedChange
from domain.model.errors import UnavailableError
from domain.ports.notifications import ChangePublisher, Checkpoint
from domain.ports.telemetry import Metric
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.live_feeds import QUICK, UNHURRIED, Listening, a_feed, following
from tests.support.processes import eventually
from tests.support.servers import TestServer, running_valkey
from tests.support.signed_messages import SIGNER

WITHIN_SECONDS = 20.0
SMALL_BUFFER_BYTES = 65_536
BRISK = PublisherSettings(connect_timeout_seconds=0.5, send_timeout_seconds=0.3, flush_timeout_seconds=2)
MAY_PING = ("nocommands", "+ping", "+client|setinfo", "+select")
ORDER = a_snapshot()
OTHER = a_snapshot(2, account_id="acme")
# As UNHURRIED, but with the pace of a process that has lost its link.
LINKED_ONLY = replace(UNHURRIED, comparison_without_link_seconds=0.02)


@asynccontextmanager
async def a_publisher(
    redis_url: str, *, settings: PublisherSettings = BRISK
) -> AsyncIterator[tuple[RedisPublisher, RecordingTelemetry]]:
    telemetry = RecordingTelemetry()
    async with open_publisher(redis_url, signer=SIGNER, settings=settings, telemetry=telemetry) as publisher:
        yield publisher, telemetry


@asynccontextmanager
async def received_on(redis_url: str, account_id: str) -> AsyncIterator[list[Message]]:
    """Return what is published on the account's channel, read by a separate plain client."""
    messages: list[Message] = []
    subscribed = asyncio.Event()

    async def listen() -> None:
        async for message in pubsub.listen():
            if message["type"] == "message":
                messages.append(Message(channel=message["channel"], raw=message["data"]))
            else:
                subscribed.set()

    async with Redis.from_url(redis_url) as redis, redis.pubsub() as pubsub:
        await pubsub.subscribe(channel_of(shard_of(account_id)))
        listening = asyncio.create_task(listen())
        await asyncio.wait_for(subscribed.wait(), timeout=WITHIN_SECONDS)
        yield messages
        listening.cancel()
        await asyncio.wait([listening])


async def is_subscribed(redis_url: str, account_id: str) -> bool:
    async with Redis.from_url(redis_url) as redis:
        [(_, count)] = await redis.pubsub_numsub(channel_of(shard_of(account_id)))
        return bool(count)


async def linked(listening: Listening, redis_url: str, *account_ids: str) -> None:
    """Wait until the hub is subscribed to its accounts' shards."""

    async def all_subscribed() -> bool:
        return listening.hub.is_linked and all([await is_subscribed(redis_url, each) for each in account_ids])

    await eventually(all_subscribed, within_seconds=WITHIN_SECONDS)


@contextmanager
def stopped(server: TestServer) -> Iterator[None]:
    """Pause the server, with its connections open."""
    pid = server.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[TestServer]:
    """Start a Valkey that a test may kill."""
    with running_valkey(tmp_path / "valkey") as server:
        yield server


async def test_a_commit_becomes_one_message_for_each_account_in_order(redis_url: str) -> None:
    log = ChangeHistory()
    async with a_publisher(redis_url) as (publisher, telemetry), received_on(redis_url, "demo") as messages:
        port: ChangePublisher = publisher
        commits = [[log.append(ORDER), log.append(OTHER), log.append(ORDER)] for _ in range(50)]
        port.publish(commits[0])
        await eventually(lambda: len(messages) == 1, within_seconds=WITHIN_SECONDS)
        for commit in commits[1:]:
            port.publish(commit)

        def changes() -> list[RecordedChange]:
            return [change for message in messages for change in decode(SIGNER.open(message))]

        await eventually(lambda: len(changes()) == 100, within_seconds=WITHIN_SECONDS)
        assert changes() == log.changes["demo"]
        await eventually(lambda: telemetry.counted(Metric.CHANGES_PUBLISHED) == 150, within_seconds=WITHIN_SECONDS)


async def test_what_is_published_is_delivered_without_reading_the_database(redis_url: str) -> None:
    log = ChangeHistory()
    async with (
        a_publisher(redis_url) as (publisher, _),
        a_feed(log, settings=UNHURRIED, redis_url=redis_url) as listening,
        following(listening, "demo") as demo,
        following(listening, "acme") as acme,
    ):
        await linked(listening, redis_url, "demo", "acme")
        await demo.has(1)
        await acme.has(1)
        reads = log.reads
        for _ in range(100):
            publisher.publish([log.append(ORDER), log.append(OTHER)])

        await demo.has(101)
        await acme.has(101)

        assert demo.items == [Checkpoint(sequence=0), *log.changes["demo"]]
        assert acme.items == [Checkpoint(sequence=0), *log.changes["acme"]]
        assert log.reads == reads


async def test_closing_the_publisher_sends_what_it_still_holds(redis_url: str) -> None:
    log = ChangeHistory()
    async with received_on(redis_url, "demo") as messages:
        async with a_publisher(redis_url) as (publisher, telemetry):
            publisher.publish([log.append(ORDER) for _ in range(1_000)])

        assert telemetry.counted(Metric.CHANGES_PUBLISHED) == 1_000
        await eventually(lambda: len(messages) == 5, within_seconds=WITHIN_SECONDS)


async def test_a_publisher_without_redis_neither_waits_nor_fails() -> None:
    log = ChangeHistory()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        async with a_publisher(url) as (publisher, telemetry):
            publisher.publish([log.append(ORDER) for _ in range(3)])
            await eventually(lambda: telemetry.counted(Metric.PUBLISHES_FAILED) == 3, within_seconds=WITHIN_SECONDS)
            publisher.publish([log.append(ORDER)])
            await eventually(lambda: telemetry.counted(Metric.PUBLISHES_FAILED) == 4, within_seconds=WITHIN_SECONDS)

    assert [event for event, _ in telemetry.events] == ["publish_failed"] * 2


async def test_a_full_buffer_drops_what_is_newest_and_counts_it(redis_url: str) -> None:
    log = ChangeHistory()
    tight = replace(BRISK, buffer_max_changes=5)
    async with (
        received_on(redis_url, "demo") as messages,
        a_publisher(redis_url, settings=tight) as (publisher, telemetry),
    ):
        changes = [log.append(ORDER) for _ in range(9)]
        publisher.publish(changes[:4])
        publisher.publish(changes[4:8])
        publisher.publish(changes[8:])
        await eventually(lambda: len(messages) == 1, within_seconds=WITHIN_SECONDS)

        assert decode(SIGNER.open(messages[0])) == changes[:5]
        assert telemetry.counted(Metric.PUBLISHES_FAILED) == 4


async def test_a_publisher_resumes_with_redis(own_valkey: TestServer) -> None:
    log = ChangeHistory()
    async with a_publisher(own_valkey.url) as (publisher, telemetry):
        with stopped(own_valkey):
            publisher.publish([log.append(ORDER)])
            await eventually(lambda: telemetry.counted(Metric.PUBLISHES_FAILED) == 1, within_seconds=WITHIN_SECONDS)
        publisher.publish([log.append(ORDER)])

        await eventually(lambda: telemetry.counted(Metric.CHANGES_PUBLISHED) == 1, within_seconds=WITHIN_SECONDS)


async def test_a_change_just_before_the_shard_is_subscribed_is_read_also_when_the_position_is_read_later(
    redis_url: str,
) -> None:
    class Slow(ChangeHistory):
        """Returns the account's position only when the shard is subscribed and compared; a change came before."""

        async def position(self, account_id: str) -> int:
            position = await super().position(account_id)
            self.append(ORDER)
            await linked(listening, redis_url, account_id)
            await eventually(lambda: self.comparisons > 0, within_seconds=WITHIN_SECONDS)
            return position

    log = Slow()
    async with (
        a_feed(log, settings=UNHURRIED, redis_url=redis_url) as listening,
        following(listening) as subscriber,
    ):
        await subscriber.has(2)

        assert subscriber.items == [Checkpoint(sequence=0), *log.changes["demo"]]


async def test_a_shard_whose_first_comparison_failed_is_compared_again(redis_url: str) -> None:
    class FailsOnce(ChangeHistory):
        """Fails the comparison of the shard that was just subscribed; a change came before, unpublished."""

        async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
            if listening.hub.is_linked and not self.changes.get("demo"):
                self.append(ORDER)
                raise UnavailableError
            return await super().positions(account_ids)

    log = FailsOnce()
    async with (
        a_feed(log, settings=LINKED_ONLY, redis_url=redis_url) as listening,
        following(listening) as subscriber,
    ):
        await subscriber.has(2)

        assert subscriber.items == [Checkpoint(sequence=0), *log.changes["demo"]]
        assert listening.telemetry.said("comparison_failed")


async def test_a_killed_connection_loses_no_change(redis_url: str) -> None:
    log = ChangeHistory()
    async with (
        a_publisher(redis_url) as (publisher, _),
        a_feed(log, settings=LINKED_ONLY, redis_url=redis_url) as listening,
        following(listening) as subscriber,
        Redis.from_url(redis_url) as redis,
    ):
        await subscriber.has(1)
        for _ in range(10):
            await linked(listening, redis_url, "demo")
            await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call] # untyped there
            for _ in range(5):
                publisher.publish([log.append(ORDER)])
        await subscriber.until(lambda: len(subscriber.sequences) == 50)

        assert subscriber.items[1:] == log.changes["demo"]


async def test_a_link_that_the_server_drops_because_its_buffer_overran_loses_no_change(own_valkey: TestServer) -> None:
    log = ChangeHistory()
    async with (
        a_feed(log, settings=LINKED_ONLY, redis_url=own_valkey.url) as listening,
        following(listening) as subscriber,
        Redis.from_url(own_valkey.url) as redis,
    ):
        await subscriber.has(1)
        await linked(listening, own_valkey.url, "demo")
        await redis.config_set("client-output-buffer-limit", f"pubsub {SMALL_BUFFER_BYTES} 0 0")
        flood = "for _ = 1, 2000 do redis.call('PUBLISH', KEYS[1], string.rep('x', 10000)) end"

        # A script's messages are all buffered before any is sent.
        await redis.eval(flood, 1, channel_of(shard_of("demo")))  # type: ignore[misc] # redis types it as perhaps synchronous
        missed = log.append(ORDER)
        await subscriber.has(2)

        assert subscriber.items[1:] == [missed]
        assert (await redis.info("stats"))["client_output_buffer_limit_disconnections"] == 1
        await linked(listening, own_valkey.url, "demo")


async def test_a_new_link_reads_what_was_missed_while_it_was_away(redis_url: str) -> None:
    log = ChangeHistory()
    async with (
        a_feed(log, settings=UNHURRIED, redis_url=redis_url) as listening,
        following(listening) as subscriber,
        Redis.from_url(redis_url) as redis,
    ):
        await subscriber.has(1)
        await linked(listening, redis_url, "demo")
        missed = log.append(ORDER)
        await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call] # untyped there

        await subscriber.has(2)

        assert subscriber.items[1:] == [missed]
        assert listening.telemetry.counted(Metric.REREADS, cause="reconnect") == 1


async def test_a_server_that_is_killed_and_started_again_loses_no_change(own_valkey: TestServer) -> None:
    log = ChangeHistory()
    async with (
        a_publisher(own_valkey.url) as (publisher, _),
        a_feed(log, settings=LINKED_ONLY, redis_url=own_valkey.url) as listening,
        following(listening) as subscriber,
    ):
        await subscriber.has(1)
        await linked(listening, own_valkey.url, "demo")
        os.kill(own_valkey.pid(), signal.SIGKILL)
        await eventually(lambda: not listening.hub.is_linked, within_seconds=WITHIN_SECONDS)
        publisher.publish([log.append(ORDER)])
        await subscriber.has(2)

        await eventually(lambda: listening.hub.is_linked, within_seconds=WITHIN_SECONDS)
        publisher.publish([log.append(ORDER)])
        await subscriber.has(3)

        assert subscriber.items[1:] == log.changes["demo"]


async def test_a_paused_server_is_detected_by_its_silence(own_valkey: TestServer) -> None:
    log = ChangeHistory()
    async with (
        a_feed(log, settings=LINKED_ONLY, redis_url=own_valkey.url) as listening,
        following(listening) as subscriber,
    ):
        await subscriber.has(1)
        await linked(listening, own_valkey.url, "demo")
        with stopped(own_valkey):
            await eventually(lambda: not listening.hub.is_linked, within_seconds=WITHIN_SECONDS)
            log.append(ORDER)
            await subscriber.has(2)

        await eventually(lambda: listening.hub.is_linked, within_seconds=WITHIN_SECONDS)
        assert subscriber.items[1:] == log.changes["demo"]
        [lost] = listening.telemetry.said("hub_link_lost")
        assert "nothing received" in str(lost["error"])


async def test_shards_are_subscribed_with_the_first_listener_and_left_after_the_last(redis_url: str) -> None:
    log = ChangeHistory()
    async with a_feed(log, settings=QUICK, redis_url=redis_url) as listening:
        async with following(listening, "demo"), following(listening, "demo"):
            await linked(listening, redis_url, "demo")
            assert not await is_subscribed(redis_url, "acme")
        assert await is_subscribed(redis_url, "demo")

        async def is_left() -> bool:
            return not await is_subscribed(redis_url, "demo")

        await eventually(is_left, within_seconds=WITHIN_SECONDS)
        async with following(listening, "demo") as again:
            await linked(listening, redis_url, "demo")
            log.append(ORDER)
            await again.has(2)


async def test_a_closed_hub_leaves_no_connection_open(redis_url: str) -> None:
    async with a_feed(ChangeHistory(), redis_url=redis_url) as listening, following(listening):
        await linked(listening, redis_url, "demo")

    async with Redis.from_url(redis_url) as redis:

        async def is_alone() -> bool:
            return len(await redis.client_list(_type="pubsub")) == 0

        await eventually(is_alone, within_seconds=WITHIN_SECONDS)


async def test_a_password_that_is_wrong_is_a_link_that_does_not_open(redis_url: str) -> None:
    wrong = redis_url.replace("redis://:", "redis://:wrong")
    with pytest.raises(RedisError):
        async with Redis.from_url(wrong) as redis:
            await redis.dbsize()
    log = ChangeHistory()
    async with a_feed(log, redis_url=wrong) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        log.append(ORDER)

        await subscriber.has(2)

        assert not listening.hub.is_linked


@asynccontextmanager
async def a_user_who_may_not_subscribe(redis_url: str) -> AsyncIterator[str]:
    """Return the URL of a user that may only PING."""
    async with Redis.from_url(redis_url) as redis:
        await redis.execute_command("ACL", "SETUSER", "mute", "on", ">secret", "&*", *MAY_PING)  # type: ignore[no-untyped-call] # untyped in the library
        try:
            yield f"redis://mute:secret@{redis_url.rpartition('@')[2]}"
        finally:
            await redis.execute_command("ACL", "DELUSER", "mute")  # type: ignore[no-untyped-call] # untyped in the library


async def test_a_link_that_may_not_subscribe_is_no_link_and_is_opened_less_and_less_often(redis_url: str) -> None:
    log = ChangeHistory()
    settings = replace(QUICK, reconnect_delay_max_seconds=3_600)
    async with (
        a_user_who_may_not_subscribe(redis_url) as mute,
        a_feed(log, redis_url=mute, settings=settings) as listening,
        following(listening) as subscriber,
    ):
        await eventually(lambda: listening.hub.link_error is not None, within_seconds=WITHIN_SECONDS)
        log.append(ORDER)
        await subscriber.has(2)
        async with Redis.from_url(redis_url) as redis:

            async def refusals() -> int:
                return sum(int(entry["count"]) for entry in await redis.acl_log() if entry["username"] == "mute")

            began = asyncio.get_running_loop().time()
            await eventually(lambda: _at_least(refusals, 5), within_seconds=WITHIN_SECONDS)
            took = asyncio.get_running_loop().time() - began

    assert isinstance(listening.hub.link_error, NoPermissionError)
    assert not listening.hub.is_linked
    # It may be connected once, before the first follower needs a shard.
    assert len(listening.telemetry.said("hub_linked")) <= 1
    assert 1 <= len(listening.telemetry.said("hub_link_lost")) <= 2
    assert took > 4 * settings.reconnect_delay_seconds


async def test_a_link_without_subscriptions_is_one_once_a_ping_is_answered(redis_url: str) -> None:
    async with a_feed(ChangeHistory(), redis_url=redis_url) as listening:
        await eventually(lambda: listening.hub.is_linked, within_seconds=WITHIN_SECONDS)


async def _at_least(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() >= wanted
