"""One subscriber: what it receives first, what then, and when it ends. The test passes hints to the hub."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from broadcast.envelope import Message
from broadcast.messages import encode
from broadcast.shards import channel_of, shard_of
from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import OrderNotFoundError, UnavailableError
from domain.model.order import OrderStatus
from domain.ports.notifications import Checkpoint, LiveFeed, Reset
from domain.ports.readers import AccountPosition
from domain.ports.telemetry import REQUEST_ID, Metric
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.live_feeds import UNHURRIED, Listening, a_feed, following, following_order
from tests.support.processes import eventually
from tests.support.signed_messages import SIGNER, a_message, signed

ORDER = a_snapshot()
OTHER = a_snapshot(2)
CHANNEL = channel_of(shard_of("demo"))


def log_with(count: int) -> ChangeHistory:
    log = ChangeHistory()
    for _ in range(count):
        log.append(ORDER)
    return log


def publish(listening: Listening, *changes: RecordedChange) -> None:
    listening.hub.receive(encode(changes, signer=SIGNER))


async def test_the_feed_is_a_live_feed() -> None:
    async with a_feed(ChangeHistory()) as listening:
        feed: LiveFeed = listening.feed

        assert feed is listening.feed


async def test_an_account_gets_a_checkpoint_and_then_each_change() -> None:
    log = log_with(2)
    async with a_feed(log) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        third = log.append(ORDER)
        publish(listening, third)

        await subscriber.has(2)

        assert subscriber.items == [Checkpoint(sequence=2), third]


async def test_late_repeated_and_early_messages_are_delivered_once_and_in_order() -> None:
    log = log_with(1)
    async with a_feed(log, settings=UNHURRIED) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        changes = [log.append(ORDER if n % 2 else OTHER) for n in range(6)]
        for n in (0, 0, 2, 1, 2, 5, 0, 4, 3, 1):
            publish(listening, changes[n])

        await subscriber.has(7)

        assert subscriber.items[1:] == changes
        assert listening.telemetry.counted(Metric.REREADS) == 0


async def test_a_gap_that_stays_is_read_once_for_the_process_and_the_account() -> None:
    log = log_with(1)
    async with (
        a_feed(log, settings=UNHURRIED) as listening,
        following(listening) as first,
        following(listening) as second,
    ):
        await first.has(1)
        await second.has(1)
        reads, changes = log.reads, [log.append(ORDER) for _ in range(5)]
        publish(listening, changes[4])

        await first.has(6)
        await second.has(6)

        assert first.items == second.items == [Checkpoint(sequence=1), *changes]
        assert log.reads == reads + 1
        assert listening.telemetry.counted(Metric.REREADS, cause="gap") == 1


async def test_a_change_that_was_never_published_is_found_by_the_comparison() -> None:
    log = log_with(1)
    async with a_feed(log) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        missed = log.append(ORDER)

        await subscriber.has(2)

        assert subscriber.items[1:] == [missed]
        assert listening.telemetry.counted(Metric.REREADS, cause="comparison") == 1


async def test_a_message_of_another_release_makes_the_database_be_read() -> None:
    log = log_with(1)
    async with a_feed(log, settings=UNHURRIED) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        missed = log.append(ORDER)
        listening.hub.receive(signed(a_message(missed) | {"v": 2, "changes": "in a form of the future"}))

        await subscriber.has(2)

        assert subscriber.items[1:] == [missed]


async def test_false_and_unreadable_messages_are_harmless() -> None:
    log = log_with(1)
    async with a_feed(log, settings=UNHURRIED) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        listening.hub.receive(Message(channel=CHANNEL, raw=b"not a message"))
        publish(listening, replace(log.changes["demo"][0], sequence=10**9))
        await eventually(lambda: listening.telemetry.counted(Metric.REREADS) == 1, within_seconds=5)
        second = log.append(ORDER)
        publish(listening, second)

        await subscriber.has(2)

        assert subscriber.items[1:] == [second]


async def test_changes_between_registering_and_reading_are_delivered_once() -> None:
    class Crossing(ChangeHistory):
        """Commits and publishes another change right before and right after the position is read."""

        async def position(self, account_id: str) -> int:
            publish(listening, self.append(ORDER))
            position = await super().position(account_id)
            publish(listening, self.append(ORDER))
            return position

    log = Crossing()
    async with a_feed(log, settings=UNHURRIED) as listening, following(listening) as subscriber:
        await subscriber.has(2)

        assert subscriber.items == [Checkpoint(sequence=1), log.changes["demo"][1]]


async def test_a_gap_that_opens_before_the_position_is_known_is_read() -> None:
    class Crossing(ChangeHistory):
        async def position(self, account_id: str) -> int:
            position = await super().position(account_id)
            self.append(ORDER)
            publish(listening, self.append(ORDER))
            return position

    log = Crossing()
    async with a_feed(log, settings=UNHURRIED) as listening, following(listening) as subscriber:
        await subscriber.has(3)

        assert subscriber.items == [Checkpoint(sequence=0), *log.changes["demo"]]


async def test_a_read_for_all_subscribers_of_an_account_is_not_logged_under_the_request_of_one() -> None:
    requests: list[str | None] = []

    class Crossing(ChangeHistory):
        async def position(self, account_id: str) -> int:
            position = await super().position(account_id)
            self.append(ORDER)
            publish(listening, self.append(ORDER))
            return position

        async def changes_after(
            self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
        ) -> Sequence[RecordedChange]:
            requests.append(REQUEST_ID.get())
            return await super().changes_after(account_id, sequence, limit=limit, order_id=order_id)

    async with a_feed(Crossing(), settings=UNHURRIED) as listening:
        named = REQUEST_ID.set("mine")
        async with following(listening) as subscriber:
            await subscriber.has(3)
        REQUEST_ID.reset(named)

    assert set(requests) == {None}


async def test_a_change_that_arrives_while_the_missed_ones_are_read_is_delivered_too() -> None:
    class Crossing(ChangeHistory):
        async def changes_after(
            self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
        ) -> Sequence[RecordedChange]:
            page = await super().changes_after(account_id, sequence, limit=limit, order_id=order_id)
            publish(listening, self.append(ORDER))
            return page

    log = Crossing()
    log.append(ORDER)
    log.append(ORDER)
    async with a_feed(log, settings=UNHURRIED) as listening, following(listening, after=1) as subscriber:
        await subscriber.has(3)

        assert subscriber.items == [Checkpoint(sequence=1), *log.changes["demo"][1:]]


async def test_a_position_from_a_replica_that_lags_behind_loses_nothing() -> None:
    class Lagging(ChangeHistory):
        lag = 0

        async def position(self, account_id: str) -> int:
            return await super().position(account_id) - self.lag

    log = Lagging()
    async with a_feed(log, settings=UNHURRIED) as listening, following(listening) as first:
        await first.has(1)
        publish(listening, *(log.append(ORDER) for _ in range(4)))
        log.lag = 2
        async with following(listening) as second:
            await second.has(1)
            publish(listening, log.append(ORDER))

            await second.has(4)

            assert second.items == [Checkpoint(sequence=2), *log.changes["demo"][2:]]


async def test_an_order_that_changes_while_its_snapshot_is_read_is_delivered_once() -> None:
    class Crossing(ChangeHistory):
        async def order_position(self, order_id: UUID, *, account_id: str | None) -> AccountPosition | None:
            publish(listening, self.append(ORDER))
            position = await super().order_position(order_id, account_id=account_id)
            publish(listening, self.append(OTHER), self.append(ORDER))
            return position

    log = Crossing()
    async with a_feed(log, settings=UNHURRIED) as listening, following_order(listening, ORDER.id) as subscriber:
        await subscriber.has(2)

        assert isinstance(subscriber.items[0], OrderSnapshot)
        assert [_version(item) for item in subscriber.items] == [1, 2]


async def test_an_order_gets_its_snapshot_then_its_own_changes_and_ends_when_it_is_final() -> None:
    log = log_with(2)
    async with a_feed(log) as listening, following_order(listening, ORDER.id) as subscriber:
        await subscriber.has(1)
        log.append(OTHER)
        log.append(ORDER)
        log.append(ORDER, status=OrderStatus.FILLED)
        log.append(ORDER, status=OrderStatus.FILLED)

        await subscriber.ends()

        assert [_version(item) for item in subscriber.items] == [2, 3, 4]
        assert isinstance(subscriber.items[0], OrderSnapshot)
        assert listening.hub.followed_accounts == 0


async def test_an_order_that_is_final_already_sends_its_snapshot_and_ends() -> None:
    log = log_with(1)
    log.append(ORDER, status=OrderStatus.CANCELED)
    async with a_feed(log) as listening, following_order(listening, ORDER.id, account_id=None) as subscriber:
        await subscriber.ends()

        assert subscriber.items == [log.newest(ORDER.id)]


@pytest.mark.parametrize(("after_version", "expected"), [(0, [1, 2, 3, 4]), (1, [2, 3, 4]), (3, [4]), (4, [])])
async def test_a_final_order_delivers_missed_changes_also_after_its_end_and_ends(
    after_version: int, expected: list[int]
) -> None:
    log = log_with(2)
    log.append(ORDER, status=OrderStatus.CANCELED)
    log.append(ORDER, status=OrderStatus.CANCELED)
    async with (
        a_feed(log) as listening,
        following_order(listening, ORDER.id, after_version=after_version) as subscriber,
    ):
        await subscriber.ends()

        assert [_version(item) for item in subscriber.items] == expected
        assert all(isinstance(item, RecordedChange) for item in subscriber.items)


async def test_an_order_that_was_reopened_by_a_correction_continues() -> None:
    log = log_with(1)
    log.append(ORDER, status=OrderStatus.FILLED)
    log.append(ORDER, status=OrderStatus.PARTIALLY_FILLED)
    async with a_feed(log) as listening, following_order(listening, ORDER.id, after_version=1) as subscriber:
        await subscriber.has(2)
        log.append(ORDER, status=OrderStatus.CANCELED)

        await subscriber.ends()

        assert [_version(item) for item in subscriber.items] == [2, 3, 4]


async def test_an_order_whose_history_is_gone_resumes_with_a_snapshot() -> None:
    log = log_with(5)
    log.prune("demo", through=3)
    async with a_feed(log) as listening, following_order(listening, ORDER.id, after_version=1) as subscriber:
        await subscriber.has(1)
        log.append(ORDER)
        await subscriber.has(2)

        assert subscriber.items[0] == log.changes["demo"][4].order
        assert [_version(item) for item in subscriber.items] == [5, 6]


async def test_an_order_resumed_at_a_version_that_it_never_had_sends_its_snapshot() -> None:
    log = log_with(2)
    async with a_feed(log) as listening, following_order(listening, ORDER.id, after_version=9) as subscriber:
        await subscriber.has(1)

        assert subscriber.items == [log.newest(ORDER.id)]


@pytest.mark.parametrize("account_id", [None, "demo", "another"])
async def test_an_order_that_does_not_exist_or_is_of_another_account_is_not_found(account_id: str | None) -> None:
    log = log_with(1)
    wanted = ORDER.id if account_id == "another" else OTHER.id
    async with a_feed(log) as listening:
        with pytest.raises(OrderNotFoundError):
            await anext(listening.feed.order(wanted, account_id=account_id, after_version=None))

        assert listening.hub.followed_accounts == 0


async def test_an_account_resumes_after_a_sequence() -> None:
    log = log_with(1_203)
    async with a_feed(log) as listening, following(listening, after=1) as subscriber:
        await subscriber.has(1_203)
        publish(listening, log.append(ORDER))
        await subscriber.has(1_204)

        assert subscriber.items[0] == Checkpoint(sequence=1)
        assert subscriber.sequences == list(range(2, 1_205))
        assert listening.telemetry.counted(Metric.REREADS, cause="resume") == 1
        assert listening.telemetry.counted(Metric.DELIVERIES) == 1_203


@pytest.mark.parametrize("after", [0, 2, 99])
async def test_an_account_whose_history_is_gone_or_another_one_is_reset(after: int) -> None:
    log = log_with(5)
    log.prune("demo", through=3)
    async with a_feed(log) as listening, following(listening, after=after) as subscriber:
        await subscriber.has(1)
        sixth = log.append(ORDER)
        await subscriber.has(2)

        assert subscriber.items == [Reset(sequence=5), sixth]


async def test_an_account_without_any_change_starts_at_zero() -> None:
    log = ChangeHistory()
    async with a_feed(log) as listening, following(listening, after=0) as subscriber:
        first = log.append(ORDER)
        await subscriber.has(2)

        assert subscriber.items == [Checkpoint(sequence=0), first]


async def test_history_pruned_without_a_connection_resets_the_account_and_repeats_the_order() -> None:
    log = log_with(2)
    async with (
        a_feed(log) as listening,
        following(listening) as account,
        following_order(listening, ORDER.id) as order,
    ):
        await account.has(1)
        await order.has(1)
        for _ in range(4):
            log.append(ORDER)
        log.prune("demo", through=5)

        await account.has(2)
        await order.has(2)
        seventh = log.append(ORDER)
        await account.has(3)
        await order.has(3)

        assert account.items == [Checkpoint(sequence=2), Reset(sequence=6), seventh]
        assert order.items[1:] == [log.changes["demo"][5].order, seventh]


async def test_a_slow_subscriber_stays_bounded_and_catches_up_by_itself() -> None:
    log = log_with(1)
    settings = replace(UNHURRIED, subscriber_buffer_max_changes=10, page_max_changes=7)
    async with (
        a_feed(log, settings=settings) as listening,
        following(listening) as slow,
        following(listening) as quick,
    ):
        await slow.has(1)
        await quick.has(1)
        slow.read.clear()
        for _ in range(200):
            publish(listening, log.append(ORDER))
        await quick.until(lambda: quick.sequences == list(range(2, 202)))
        assert len(slow.items) < 20

        slow.read.set()
        await slow.until(lambda: len(slow.sequences) == 200)

        assert slow.sequences == list(range(2, 202))
        assert listening.telemetry.counted(Metric.REREADS, cause="overflow") >= 1


async def test_while_the_database_is_away_a_subscriber_waits_and_loses_nothing() -> None:
    log = log_with(1)
    async with a_feed(log) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        log.is_down = True
        changes = [log.append(ORDER) for _ in range(3)]
        publish(listening, changes[2])
        reads = log.reads
        await eventually(lambda: log.reads > reads + 3, within_seconds=5)
        assert subscriber.items == [Checkpoint(sequence=1)]

        log.is_down = False
        await subscriber.has(4)

        assert subscriber.items[1:] == changes


async def test_a_subscription_that_cannot_be_opened_gets_an_error() -> None:
    log = log_with(1)
    log.is_down = True
    async with a_feed(log) as listening:
        with pytest.raises(UnavailableError):
            await anext(listening.feed.account("demo", after=None))
        with pytest.raises(UnavailableError):
            await anext(listening.feed.order(ORDER.id, account_id="demo", after_version=None))

        assert listening.hub.followed_accounts == 0


async def test_closing_a_subscriber_frees_all_it_held() -> None:
    log = log_with(1)
    async with a_feed(log, settings=UNHURRIED) as listening:
        async with following(listening) as one, following(listening, "another") as two:
            await one.has(1)
            await two.has(1)
            assert listening.hub.followed_accounts == 2
            assert listening.telemetry.gauges[Metric.SUBSCRIBERS] == 2
            log.is_down = True
            log.append(ORDER)
            publish(listening, log.append(ORDER))
            reads = log.reads
            await eventually(lambda: log.reads > reads + 1, within_seconds=5)

        reads = log.reads
        assert listening.hub.followed_accounts == 0
        assert listening.telemetry.gauges[Metric.SUBSCRIBERS] == 0
    assert log.reads <= reads + 1


def _version(item: object) -> int:
    assert isinstance(item, OrderSnapshot | RecordedChange)
    return item.version if isinstance(item, OrderSnapshot) else item.order.version


async def test_an_order_that_ended_without_fills_that_the_venue_counts_continues_until_they_have_arrived() -> None:
    log = log_with(1)
    async with a_feed(log) as listening, following_order(listening, ORDER.id) as subscriber:
        await subscriber.has(1)
        publish(listening, log.append(ORDER, status=OrderStatus.CANCELED, filled=Decimal(0), counted=Decimal(33)))
        await subscriber.has(2)
        assert not subscriber.is_over
        publish(listening, log.append(ORDER, status=OrderStatus.CANCELED, filled=Decimal(33)))

        await subscriber.ends()

        assert [_version(item) for item in subscriber.items] == [1, 2, 3]


async def test_an_order_whose_fills_never_arrive_ends_after_a_bounded_wait() -> None:
    log = log_with(1)
    log.append(ORDER, status=OrderStatus.CANCELED, filled=Decimal(0), counted=Decimal(33))
    async with (
        a_feed(log, completion_wait_seconds=0.1) as listening,
        following_order(listening, ORDER.id, after_version=1) as subscriber,
    ):
        await subscriber.ends()

        (last,) = subscriber.items
        assert isinstance(last, RecordedChange)
        assert last.order.lacks_fills
