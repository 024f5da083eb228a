"""Recording: the venue's reports are written once, published once, and decided again after a concurrent write."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from uuid import UUID

import pytest

from domain.model.changes import Anomaly
from domain.model.errors import UnavailableError, VersionConflictError
from domain.model.order import CANCELED_BEFORE_SENDING, End, OrderStatus, VenueRank
from domain.model.reports import Report
from domain.ports.telemetry import Metric
from domain.services.order_cache import OrderCache
from domain.services.recording import DECISIONS_PER_LOOP_ROUND
from domain.services.version_conflicts import VERSION_CONFLICTS_MAX
from tests.support.examples import (
    ORDER_ID,
    accepted,
    became_unknown,
    busted,
    cancel_asked,
    corrected,
    ended,
    filled,
    given_up,
    name_of,
    refused,
)
from tests.support.memory_gateway import SECOND, Desk

STRANGER = UUID(int=0xDEAD)
OTHER = UUID(int=100)


@pytest.fixture
async def desk() -> Desk:
    """Return a desk with one stored order."""
    desk = Desk()
    await desk.store()
    return desk


async def test_a_batch_is_written_immediately_and_published_after_it(desk: Desk) -> None:
    recorded = await desk.report(accepted(), filled("4"), filled("6", name="E2"))

    assert desk.order().status is OrderStatus.FILLED
    assert [change.kind for change in recorded.changes] == ["PLACED", "FILL", "FILL"]
    assert [change.order.version for change in recorded.changes] == [2, 3, 4]
    assert [change.sequence for change in recorded.changes] == [2, 3, 4]
    assert desk.publisher.commits == [recorded.changes]
    assert len(desk.orders.writes) == 1
    assert desk.telemetry.counted(Metric.REPORTS_RECORDED) == 3


async def test_the_loop_keeps_running_while_a_large_batch_is_decided(desk: Desk) -> None:
    ids = [UUID(int=number) for number in range(1, 2 * DECISIONS_PER_LOOP_ROUND + 3)]
    for order_id in ids:
        await desk.store(order_id, client_order_id=str(order_id))

    async def turns_of(order_ids: list[UUID]) -> int:
        begun = desk.recording.record({name_of(order_id): [accepted()] for order_id in order_ids})
        recording, turns = asyncio.create_task(begun), 0
        while not recording.done():
            turns += 1
            await asyncio.sleep(0)
        assert len((await recording).changes) == len(order_ids)
        return turns

    assert await turns_of(ids[1:]) >= await turns_of(ids[:1]) + 2


async def test_each_change_shows_the_order_and_the_execution_as_they_stood(desk: Desk) -> None:
    recorded = await desk.report(filled("4"), corrected("5"))

    assert [change.order.filled_quantity for change in recorded.changes] == [4, 5]
    assert [change.execution.quantity for change in recorded.changes if change.execution] == [4, 5]
    assert [change.kind for change in recorded.changes] == ["FILL", "CORRECTED"]


async def test_a_repeat_writes_nothing_and_publishes_nothing(desk: Desk) -> None:
    await desk.report(accepted(), filled("4"))
    desk.publisher.commits.clear()
    desk.orders.writes.clear()

    recorded = await desk.report(filled("4"), accepted())

    assert not recorded.changes
    assert not desk.orders.writes
    assert not desk.publisher.commits


async def test_an_invisible_fact_is_stored_without_a_new_version(desk: Desk) -> None:
    await desk.report(accepted(rank=VenueRank.ACCEPTED))
    version = desk.order().version

    recorded = await desk.report(accepted(rank=VenueRank.WORKING))

    assert desk.order().facts.rank is VenueRank.WORKING
    assert desk.order().version == version
    assert not recorded.changes


async def test_a_stale_write_is_decided_again_on_what_is_there_now(desk: Desk) -> None:
    async def concurrent_write() -> None:
        await desk.report(filled("4"), filled("1", name="E3"))

    desk.orders.interruptions.append(concurrent_write)

    recorded = await desk.report(filled("4"), filled("5", name="E2"))

    assert desk.order().status is OrderStatus.FILLED
    assert desk.order().version == 4
    assert [change.kind for change in recorded.changes] == ["FILL"]
    assert [change.sequence for change in desk.publisher.changes] == [2, 3, 4]


async def test_a_fact_that_another_writer_stored_without_a_version_is_not_lost(desk: Desk) -> None:
    async def bust_first() -> None:
        await desk.report(busted("E2"))

    await desk.report(accepted())
    desk.orders.interruptions.append(bust_first)

    await desk.report(filled("4", name="E2"))

    assert desk.order().facts.filled_quantity == 0
    assert desk.row().executions["E2"].is_busted


async def test_of_two_writers_of_one_report_one_publishes_it(desk: Desk) -> None:
    async def the_other_ingest() -> None:
        await desk.report(filled("4"))

    desk.orders.interruptions.append(the_other_ingest)

    recorded = await desk.report(filled("4"))

    assert not recorded.changes
    assert desk.kinds() == ["FILL"]


async def test_endless_version_conflicts_raise_an_error(desk: Desk) -> None:
    def another_fill(number: int) -> Awaitable[object]:
        return desk.report(filled("0.1", name=f"other-{number}"))

    async def interrupt() -> None:
        count = len(desk.orders.writes)
        await another_fill(count)
        desk.orders.interruptions.append(interrupt)

    desk.orders.interruptions.append(interrupt)

    with pytest.raises(VersionConflictError):
        await desk.report(filled("1"))

    assert len(desk.orders.writes) == VERSION_CONFLICTS_MAX


async def test_a_report_of_an_order_that_fifteen_others_write_first_is_recorded(desk: Desk) -> None:
    # An order that fills fast has as many writers as processes that receive its reports.
    for number in range(15):

        async def another_fill(number: int = number) -> None:
            await desk.report(filled("0.1", name=f"other-{number}"))

        desk.orders.interruptions.append(another_fill)
        desk.orders.interruptions.append(_nobody)  # The other writer's own write.

    await desk.report(filled("1"))

    assert desk.order().facts.filled_quantity == Decimal("2.5")


async def _nobody() -> None:
    """Write nothing."""


async def test_an_order_that_has_ended_is_read_again_since_its_reasons_may_have_grown() -> None:
    desk = Desk(cache=OrderCache(orders_max=10))
    await desk.store()
    await desk.report(accepted(), filled("1", cumulative="1"))
    assert desk.cache.get(name_of(ORDER_ID)) is not None

    await desk.report(ended(End.CANCELED))

    assert desk.cache.get(name_of(ORDER_ID)) is None


async def test_one_stale_order_makes_the_whole_batch_wait_and_nothing_is_half_written(desk: Desk) -> None:
    await desk.store(OTHER, client_order_id="other")

    async def concurrent_write() -> None:
        await desk.report(accepted(), order_id=OTHER)

    desk.orders.interruptions.append(concurrent_write)

    await desk.recording.record(
        {name_of(ORDER_ID): [filled("1")], name_of(OTHER): [filled("2", name="E2", venue_order_id="V1")]}
    )

    assert desk.order().facts.filled_quantity == 1
    assert desk.order(OTHER).facts.filled_quantity == 2
    assert desk.order(OTHER).version == 3


async def test_a_report_of_an_unknown_order_is_logged_and_does_not_hold_up_the_others(desk: Desk) -> None:
    recorded = await desk.recording.record({name_of(STRANGER): [accepted()], name_of(ORDER_ID): [filled("1")]})

    assert recorded.unknown == {name_of(STRANGER)}
    assert desk.order().facts.filled_quantity == 1
    assert desk.telemetry.counted(Metric.REPORTS_RECORDED) == 1


async def test_without_the_database_nothing_is_published_and_a_repeat_is_safe(desk: Desk) -> None:
    desk.orders.failure = UnavailableError()
    with pytest.raises(UnavailableError):
        await desk.report(filled("1"))
    desk.orders.failure = None

    await desk.report(filled("1"))

    assert desk.kinds() == ["FILL"]


# --- Anomalies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "report", "anomaly"),
    [
        ([], filled("11"), Anomaly.OVERFILL),
        ([ended(End.CANCELED)], filled("1"), Anomaly.FILL_AFTER_END),
        ([filled("1"), ended(End.CANCELED)], filled("2", name="E2"), Anomaly.FILL_AFTER_END),
        ([ended(End.CANCELED)], ended(End.EXPIRED), Anomaly.SEVERAL_ENDS),
        ([], filled("1", cumulative="3"), Anomaly.MISSED_FILL),
    ],
)
async def test_an_anomaly_is_counted_once_and_stored(
    desk: Desk, before: list[Report], report: Report, anomaly: Anomaly
) -> None:
    await desk.report(*before)

    await desk.report(report)
    await desk.report(report)

    assert desk.telemetry.counted(Metric.ANOMALIES, kind=anomaly) == 1


@pytest.mark.parametrize(
    "reports",
    [
        [accepted(), filled("4", cumulative="4"), filled("6", name="E2", cumulative="10")],
        [filled("6", name="E2", cumulative="10"), accepted(), filled("4", cumulative="4")],
        [filled("4"), ended(End.CANCELED)],
        [ended(End.REJECTED)],
        [given_up()],
        [refused()],
        [accepted(), cancel_asked(), ended(End.CANCELED)],
    ],
)
async def test_normal_life_in_any_order_raises_no_alarm(desk: Desk, reports: list[Report]) -> None:
    await desk.report(*reports)

    assert desk.telemetry.counted(Metric.ANOMALIES) == 0


@pytest.mark.parametrize("before", [refused(), given_up(), ended(End.CANCELED, reason=CANCELED_BEFORE_SENDING)])
@pytest.mark.parametrize("report", [accepted(), filled("1"), ended(End.EXPIRED), busted()])
async def test_an_order_that_is_live_again_is_alerted_once(desk: Desk, before: Report, report: Report) -> None:
    await desk.report(before)

    await desk.report(report)
    await desk.report(report, accepted())

    (reported,) = desk.telemetry.said("order_revived")
    assert reported["order_id"] == str(ORDER_ID)
    assert desk.telemetry.counted(Metric.ORDERS_REVIVED) == 1
    assert desk.kinds().count("REVIVED") == 1


async def test_an_order_that_is_live_again_is_compared_with_the_venues_list(desk: Desk) -> None:
    await desk.report(refused())
    desk.venue.keep(name_of(ORDER_ID), desk.order().terms)

    await desk.reconciliation.compare_open_orders(silent_for=0 * SECOND)

    assert desk.order().status is OrderStatus.PLACED
    assert [row.order.id for row in await desk.orders.open_at_venue(silent_for=0 * SECOND, limit=9)] == [ORDER_ID]


async def test_an_order_that_is_live_again_can_be_canceled(desk: Desk) -> None:
    await desk.report(refused())
    accepted_there = desk.venue.keep(name_of(ORDER_ID), desk.order().terms)
    await desk.report(accepted_there)

    snapshot = await desk.cancellation.request(ORDER_ID, account_ids=("alice",))
    await desk.delivery.deliver([ORDER_ID])

    assert snapshot.status is OrderStatus.PENDING_CANCEL
    assert desk.venue.asked == [f"cancel {accepted_there.venue_order_id}"]


async def test_a_cancel_that_waited_when_the_order_was_refused_is_delivered_once_it_is_live_again(desk: Desk) -> None:
    await desk.report(became_unknown(), cancel_asked(), refused())
    desk.wake_ups.cancels.clear()

    await desk.report(accepted())

    assert desk.order().status is OrderStatus.PENDING_CANCEL
    assert desk.wake_ups.cancels == [(ORDER_ID, 0 * SECOND)]
    assert desk.row().cancel_due_at == desk.clock()


async def test_a_second_venue_order_id_is_an_alarm_and_the_same_one_holds_in_any_order(desk: Desk) -> None:
    await desk.report(accepted(venue_order_id="V2"))

    await desk.report(accepted(venue_order_id="V1"))
    await desk.report(accepted(venue_order_id="V2"))

    assert desk.order().facts.venue_order_id == "V1"
    assert desk.telemetry.counted(Metric.ANOMALIES, kind=Anomaly.VENUE_ORDER_ID_CHANGED) == 2


async def test_a_missed_fill_is_reported_so_that_the_venue_is_queried(desk: Desk) -> None:
    recorded = await desk.report(filled("4", name="E2", cumulative="7"))

    assert recorded.missed_fill


async def test_a_fill_that_arrives_later_in_the_batch_is_not_missed(desk: Desk) -> None:
    recorded = await desk.report(filled("4", name="E2", cumulative="7"), filled("3", cumulative="3"))

    assert not recorded.missed_fill


async def test_a_missed_fill_that_the_catch_up_brings_completes_the_order(desk: Desk) -> None:
    await desk.report(filled("4", name="E2", cumulative="7"))

    recorded = await desk.report(filled("3", name="E1", cumulative="3"), filled("4", name="R2", cumulative="7"))

    assert desk.order().facts.filled_quantity == 7
    assert [change.kind for change in recorded.changes] == ["FILL"]


async def test_a_fill_is_known_again_by_the_total_after_it(desk: Desk) -> None:
    await desk.report(filled("3", cumulative="3"))

    recorded = await desk.report(filled("3", name="an activity's id", cumulative="3.0"))

    assert not recorded.changes


async def test_a_correction_by_an_executions_second_id_corrects_it(desk: Desk) -> None:
    await desk.report(filled("10", cumulative="10"), filled("10", name="an activity's id", cumulative="10"))

    await desk.report(corrected("9", name="an activity's id"))

    assert desk.order().facts.filled_quantity == 9
    assert not desk.telemetry.said("order_anomaly")


async def test_a_correction_that_fills_too_much_is_an_overfill(desk: Desk) -> None:
    await desk.report(filled("6", cumulative="6"))

    await desk.report(corrected("11"))

    assert [said["kind"] for said in desk.telemetry.said("order_anomaly")] == ["OVERFILL"]


async def test_after_a_bust_the_same_total_can_come_from_another_fill(desk: Desk) -> None:
    await desk.report(filled("3", cumulative="3"), busted())

    await desk.report(filled("2", name="E2", cumulative="2"), filled("1", name="E3", cumulative="3"))

    assert desk.order().facts.filled_quantity == 3


async def test_a_fill_without_the_venues_id_of_the_order_gets_it_from_a_repeat(desk: Desk) -> None:
    await desk.report(filled("3", venue_order_id=None))

    recorded = await desk.report(filled("3", venue_order_id="V1"))

    assert desk.order().facts.venue_order_id == "V1"
    assert [change.kind for change in recorded.changes] == ["PLACED"]


# --- What becomes due -------------------------------------------------------------------------------------------


async def test_a_cancel_that_waited_for_the_venue_is_woken_once_the_order_is_there(desk: Desk) -> None:
    await desk.report(cancel_asked())
    desk.wake_ups.cancels.clear()

    await desk.report(accepted())
    await desk.report(accepted())

    assert [order_id for order_id, _ in desk.wake_ups.cancels] == [ORDER_ID]
    assert desk.row().cancel_due_at == desk.clock()


async def test_a_report_of_the_venue_ends_placing(desk: Desk) -> None:
    await desk.report(filled("1"))

    assert desk.row().submit_due_at is None
    assert await desk.attempt() == 0


async def test_a_placed_order_is_measured_from_its_acceptance(desk: Desk) -> None:
    desk.clock.now = desk.clock.now.replace(second=3)

    await desk.report(accepted())

    assert desk.telemetry.measured[Metric.STORED_TO_PLACED_SECONDS] == [3.0]
    assert desk.telemetry.counted(Metric.ORDERS_PLACED) == 1
