"""One subscriber's buffer: bounded, and it reports every change that it dropped."""

import pytest

from broadcast.subscriber import Cause, Subscriber
from tests.broadcast.histories import ChangeHistory, a_snapshot

MAX = 3


@pytest.fixture
def subscriber() -> Subscriber:
    """Return a subscriber that buffers three changes."""
    return Subscriber(buffer_max_changes=MAX)


@pytest.fixture
def log() -> ChangeHistory:
    """Return a log that creates changes."""
    return ChangeHistory()


def test_a_full_buffer_is_dropped_with_the_next_change_and_not_before(
    subscriber: Subscriber, log: ChangeHistory
) -> None:
    for _ in range(MAX):
        subscriber.offer(log.append(a_snapshot()))
    assert (len(subscriber), subscriber.behind) == (MAX, None)

    subscriber.offer(log.append(a_snapshot()))

    assert (len(subscriber), subscriber.behind) == (0, Cause.OVERFLOW)


def test_a_history_that_moved_back_is_not_forgotten_for_a_gap(subscriber: Subscriber) -> None:
    subscriber.fall_behind(Cause.MOVED_BACK)
    subscriber.fall_behind(Cause.GAP)

    assert subscriber.behind is Cause.MOVED_BACK


def test_a_later_cause_of_falling_behind_counts(subscriber: Subscriber) -> None:
    subscriber.fall_behind(Cause.GAP)
    subscriber.fall_behind(Cause.MOVED_BACK)

    assert subscriber.behind is Cause.MOVED_BACK


def test_changes_that_arrive_while_it_is_behind_are_left_to_the_catch_up(
    subscriber: Subscriber, log: ChangeHistory
) -> None:
    subscriber.fall_behind(Cause.GAP)
    subscriber.offer(log.append(a_snapshot()))
    assert len(subscriber) == 0

    subscriber.catch_up()
    subscriber.offer(change := log.append(a_snapshot()))

    assert subscriber.take() == [change]
