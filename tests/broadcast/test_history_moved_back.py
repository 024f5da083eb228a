"""A database restored to an earlier moment: delivered changes are no longer its history, and live streams continue."""

from collections.abc import Collection, Mapping

import pytest

from broadcast.envelope import MessageSigner
from broadcast.messages import encode
from domain.model.changes import OrderSnapshot, RecordedChange
from domain.model.errors import OrderNotFoundError
from domain.model.order import OrderStatus
from domain.ports.notifications import Checkpoint, Reset
from domain.ports.telemetry import Metric
from tests.broadcast.histories import ChangeHistory, a_snapshot
from tests.support.live_feeds import a_feed, following, following_order
from tests.support.signed_messages import SIGNER

ORDER = a_snapshot()
OTHER = a_snapshot(2)


def log_with(count: int) -> ChangeHistory:
    log = ChangeHistory()
    for _ in range(count):
        log.append(ORDER)
    return log


def restore(log: ChangeHistory, *, to: int) -> None:
    """Lose every change of the account after that sequence."""
    del log.changes["demo"][to:]


async def test_an_account_is_reset_once_and_then_gets_each_change_of_the_new_history() -> None:
    log = log_with(5)
    async with a_feed(log) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        restore(log, to=2)
        await subscriber.has(2)
        new = [log.append(OTHER) for _ in range(4)]

        await subscriber.has(6)

        assert subscriber.items == [Checkpoint(sequence=5), Reset(sequence=2), *new]
        assert len(listening.telemetry.said("history_moved_back")) == 1


async def test_every_account_stream_is_reset_and_an_account_that_did_not_move_is_not() -> None:
    log = log_with(3)
    log.append(a_snapshot(3, account_id="another"))
    async with (
        a_feed(log) as listening,
        following(listening) as first,
        following(listening) as second,
        following(listening, "another") as untouched,
    ):
        for one in (first, second, untouched):
            await one.has(1)
        restore(log, to=0)
        await first.has(2)
        await second.has(2)

        assert first.items[1:] == second.items[1:] == [Reset(sequence=0)]
        assert untouched.items == [Checkpoint(sequence=1)]


async def test_an_order_stream_gets_the_current_order_again_and_continues_to_its_end() -> None:
    log = log_with(5)
    async with a_feed(log) as listening, following_order(listening, ORDER.id) as subscriber:
        await subscriber.has(1)
        restore(log, to=2)
        await subscriber.has(2)
        log.append(ORDER, status=OrderStatus.FILLED)

        await subscriber.has(3)
        await subscriber.ends()

        assert [_version(item) for item in subscriber.items] == [5, 2, 3]
        assert isinstance(subscriber.items[1], OrderSnapshot)


async def test_the_stream_of_a_lost_order_ends_with_an_error() -> None:
    log = ChangeHistory()
    log.append(OTHER)
    log.append(ORDER)
    async with a_feed(log) as listening:
        stream = listening.feed.order(ORDER.id, account_id="demo", after_version=None)
        await anext(stream)
        restore(log, to=1)

        with pytest.raises(OrderNotFoundError):
            await anext(stream)


async def test_a_recorded_message_of_the_lost_history_is_taken_back_when_it_is_published_again() -> None:
    log = log_with(5)
    lost = encode(log.changes["demo"][2:], signer=SIGNER)
    async with a_feed(log) as listening, following(listening) as subscriber:
        await subscriber.has(1)
        restore(log, to=2)
        await subscriber.has(2)
        listening.hub.receive(lost)
        await subscriber.until(lambda: subscriber.items.count(Reset(sequence=2)) == 2)
        new = [log.append(OTHER) for _ in range(4)]

        await subscriber.until(lambda: subscriber.items[-4:] == new)

        assert listening.telemetry.counted(Metric.POSITIONS_AHEAD, cause="delivered") == 2
        # After a restore a new BROADCAST_KEY prevents such a message from being accepted.


async def test_after_a_restore_with_a_new_key_no_message_of_the_lost_history_is_taken() -> None:
    log = log_with(5)
    lost = encode(log.changes["demo"][2:], signer=SIGNER)
    restore(log, to=2)
    async with (
        a_feed(log, signer=MessageSigner([b"n" * 32])) as listening,
        following(listening) as subscriber,
    ):
        await subscriber.has(1)
        listening.hub.receive(lost)
        new = log.append(OTHER)

        await subscriber.has(2)

        assert subscriber.items == [Checkpoint(sequence=2), new]
        assert listening.telemetry.counted(Metric.MESSAGES_REFUSED, cause="signature") == 1


async def test_a_change_that_arrives_while_positions_are_read_is_no_move_back() -> None:
    class Crossing(ChangeHistory):
        """Commits and delivers a change after every read of positions."""

        async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
            positions = await super().positions(account_ids)
            if "demo" in positions and len(self.changes["demo"]) < 50:
                listening.hub.receive(encode([self.append(ORDER)], signer=SIGNER))
            return positions

    log = Crossing()
    log.append(ORDER)
    async with a_feed(log) as listening, following(listening) as subscriber:
        await subscriber.has(50)

        assert not [item for item in subscriber.items if isinstance(item, Reset)]
        assert not listening.telemetry.said("history_moved_back")


def _version(item: object) -> int:
    assert isinstance(item, OrderSnapshot | RecordedChange)
    return item.version if isinstance(item, OrderSnapshot) else item.order.version
