"""The pipeline of recording with cached orders: the results are the same as when each order is read."""

import asyncio
import weakref
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.changes import Anomaly
from domain.model.errors import TransientError, UnavailableError
from domain.model.reports import Report
from domain.ports.telemetry import Metric
from domain.services.order_cache import OrderCache
from domain.services.pipeline import PipelineTicket
from tests.domain.model.test_order_properties import Story, stories
from tests.support.examples import ORDER_ID, accepted, busted, cancel_asked, filled, name_of
from tests.support.fakes.order_store import Interruption
from tests.support.memory_gateway import Desk

Batches = Sequence[Sequence[Report]]


def a_desk(*, keeps: int = 10) -> Desk:
    return Desk(cache=OrderCache(orders_max=keeps))


async def two_desks() -> tuple[Desk, Desk]:
    """Return one desk that has cached its last write, a fill of 1, and one that works on the same orders."""
    desk = a_desk()
    await desk.store()
    await desk.report(accepted(), filled("1", cumulative="1"))
    other = Desk(new_id=desk.new_id)
    other.orders = desk.orders
    return desk, other


def while_concurrent_write(other: Desk, *reports: Report, failure: Exception | None = None) -> Interruption:
    """Return concurrent actions between a decision and its write: the other desk's reports, and then perhaps a
    failure.
    """

    async def interrupt() -> None:
        await other.report(*reports)
        if failure is not None:
            raise failure

    return interrupt


async def in_a_line(desk: Desk, batches: Batches, *, order_id: UUID = ORDER_ID) -> None:
    """Record the batches as ingest does, each decided while earlier ones may still have to be written."""

    async def record(reports: Sequence[Report], ticket: PipelineTicket) -> None:
        while True:
            try:
                await desk.recording.record({name_of(order_id): reports}, ticket=ticket)
            except TransientError:
                continue
            ticket.end()
            return

    ticket = PipelineTicket()
    ticket.end()
    async with asyncio.TaskGroup() as tasks:
        for reports in batches:
            ticket = ticket.next_ticket()
            tasks.create_task(record(reports, ticket))


@settings(max_examples=200, deadline=None)
@given(story=stories(), troubles=st.lists(st.sampled_from(["nothing", "away", "rival"]), max_size=8))
def test_orders_are_the_same_as_if_each_batch_had_been_read_decided_and_written_separately(
    story: Story, troubles: Sequence[str]
) -> None:
    async def both() -> None:
        one_by_one, line = a_desk(keeps=0), a_desk()
        for desk in (one_by_one, line):
            await desk.store()
            if story.ours:
                await desk.report(*story.ours)

        line_without_keeping = Desk(new_id=line.new_id)
        line_without_keeping.orders = line.orders

        async def away() -> None:
            raise UnavailableError

        async def rival() -> None:
            # Repeats harmlessly: the other desk writes the same as the last batch.
            await line_without_keeping.report(*story.batches[-1])

        async def nothing() -> None:
            pass

        happens = {"nothing": nothing, "away": away, "rival": rival}
        line.orders.interruptions.extend(happens[name] for name in troubles)

        for batch in story.batches:
            await one_by_one.report(*batch)
        await in_a_line(line, story.batches)

        assert line.order().facts == one_by_one.order().facts
        assert line.order().status is one_by_one.order().status
        assert line.order().facts.filled_quantity == sum(one.trade.quantity for one in line.row().executions.values())

    asyncio.run(both())


async def test_what_was_written_last_is_not_read_again() -> None:
    desk = a_desk()
    await desk.store()
    await desk.report(accepted(), filled("1", cumulative="1"))
    reads = desk.orders.loads

    await desk.report(filled("2", name="E2", cumulative="3"))

    assert desk.orders.loads == reads
    assert desk.order().facts.filled_quantity == 3


async def test_a_repeat_of_a_fill_is_looked_up_and_changes_nothing() -> None:
    desk = a_desk()
    await desk.store()
    await desk.report(accepted(), filled("1", cumulative="1"), filled("2", name="E2", cumulative="3"))

    recorded = await desk.report(filled("1", name="other name", cumulative="1"))

    assert not recorded.changes
    assert desk.order().facts.filled_quantity == 3


async def test_a_known_name_under_a_new_total_is_found_by_the_write() -> None:
    desk = a_desk()
    await desk.store()
    await desk.report(accepted(), filled("1", cumulative="1"))

    await desk.report(filled("1", cumulative="7"))

    assert desk.order().facts.filled_quantity == 1


async def test_a_known_name_under_a_new_total_is_known_when_the_order_was_read() -> None:
    desk = a_desk(keeps=0)
    await desk.store()
    await desk.report(accepted(), filled("1", cumulative="1"))
    writes = len(desk.orders.writes)

    recorded = await desk.report(filled("1", cumulative="2", venue_order_id="V1"))

    assert not recorded.changes
    assert len(desk.orders.writes) == writes
    assert desk.order().facts.filled_quantity == 1


async def test_a_bust_that_a_concurrent_writer_stored_without_a_version_is_seen() -> None:
    desk = a_desk()
    other = Desk(new_id=desk.new_id)
    await desk.store()
    await desk.report(accepted())
    other.orders = desk.orders
    await other.report(busted("E1"))

    await desk.report(filled("4", cumulative="4"))

    assert desk.order().facts.filled_quantity == 0
    assert desk.row().executions["E1"].is_busted


async def test_a_batch_on_a_wrong_prediction_is_decided_again() -> None:
    desk, other = await two_desks()

    desk.orders.interruptions.append(while_concurrent_write(other, cancel_asked(), failure=UnavailableError()))

    await in_a_line(desk, [[filled("1", name="E2", cumulative="2")], [filled("1", name="E3", cumulative="3")]])

    assert desk.order().facts.filled_quantity == 3
    assert desk.order().facts.cancel.requested == 1
    assert [change.order.version for change in desk.publisher.changes] == [2, 3, 5, 6]
    assert set(desk.row().executions) == {"E1", "E2", "E3"}


async def test_a_version_that_is_as_expected_over_other_facts_is_not_built_upon() -> None:
    desk, other = await two_desks()

    desk.orders.interruptions.append(while_concurrent_write(other, busted("E2"), cancel_asked()))

    await in_a_line(desk, [[filled("1", name="E2", cumulative="2")], [filled("1", name="E3", cumulative="3")]])

    assert desk.order().facts.filled_quantity == 2
    assert desk.order().facts.cancel.requested == 1
    assert desk.row().executions["E2"].is_busted


async def test_a_bounded_number_of_orders_is_cached() -> None:
    desk = a_desk(keeps=1)
    other = UUID(int=100)
    await desk.store()
    await desk.store(other, client_order_id="other")

    await desk.report(accepted())
    await desk.report(accepted(), order_id=other)

    assert desk.cache.get(name_of(ORDER_ID)) is None
    assert desk.cache.get(name_of(other)) is not None


async def test_no_write_is_based_on_an_abandoned_batch() -> None:
    desk, other = await two_desks()

    failure = ValueError("a report that cannot be recorded")
    desk.orders.interruptions.append(while_concurrent_write(other, cancel_asked(), failure=failure))
    given_up = PipelineTicket()
    behind = given_up.next_ticket()

    async def give_up() -> None:
        with pytest.raises(ValueError, match="cannot be recorded"):
            await desk.recording.record({name_of(ORDER_ID): [filled("1", name="E2", cumulative="2")]}, ticket=given_up)
        given_up.end()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(give_up())
        tasks.create_task(
            desk.recording.record({name_of(ORDER_ID): [filled("1", name="E3", cumulative="3")]}, ticket=behind),
            name="behind",
        )

    assert set(desk.row().executions) == {"E1", "E3"}
    assert desk.order().facts.filled_quantity == 2
    assert desk.telemetry.counted(Metric.ANOMALIES, kind=Anomaly.MISSED_FILL) == 1


async def test_a_batch_that_wrote_nothing_does_not_hold_those_before_it() -> None:
    before = PipelineTicket()
    forgotten = weakref.ref(before)
    wrote_nothing = before.next_ticket()
    before.end()

    wrote_nothing.end()

    del before
    assert forgotten() is None
