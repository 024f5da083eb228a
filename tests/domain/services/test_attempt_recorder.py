"""Attempts that finish together are recorded with the same results as separately, with any concurrent writes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.order import End
from domain.model.reports import SubmissionInDoubt
from domain.model.values import Reason, ReasonSource
from domain.ports.order_store import Claim
from domain.services.attempt_result import AttemptResult
from tests.support.examples import VENUE_SAYS, accepted, ended, filled
from tests.support.fakes.order_row import OrderRow
from tests.support.memory_gateway import SECOND, Desk

IDS = [UUID(int=number) for number in range(1, 7)]
IN_DOUBT = Reason(source=ReasonSource.SYSTEM, code="OUTCOME_UNKNOWN", message="lost")

RESULTS: Sequence[Callable[[Claim], AttemptResult]] = [
    lambda _claim: AttemptResult(outcome="placed", reports=[accepted()]),
    lambda _claim: AttemptResult(outcome="refused", reports=[ended(End.REJECTED, reason=VENUE_SAYS)]),
    lambda _claim: AttemptResult(outcome="not_executed", error="refused", next_in=SECOND),
    lambda _claim: AttemptResult(outcome="held_back", error="shut", counts=False, next_in=5 * SECOND),
    lambda claim: AttemptResult(
        outcome="unknown",
        reports=[SubmissionInDoubt(reason=IN_DOUBT, at=claim.claimed_at)],
        error="lost",
        may_have_been_sent=True,
        next_in=2 * SECOND,
    ),
]
"""What an attempt may find out."""


async def fill_reported(desk: Desk, order_id: UUID) -> None:
    """Record a fill from the stream first: the decided write has a version conflict."""
    await desk.report(filled("1", name=f"E{order_id}"), order_id=order_id)


async def claimed_again(desk: Desk, order_id: UUID) -> None:
    """Claim the order again: the lease has ended, and a newer attempt has the order."""
    row = desk.row(order_id)
    row.submit_due_at = row.lease_until = desk.clock()
    assert await desk.orders.claim([order_id], lease=30 * SECOND)


MEANWHILE = [None, None, fill_reported, claimed_again]


def state_of(row: OrderRow) -> tuple[object, ...]:
    """All of an order that a conclusion may change."""
    return (
        replace(row.order, created_at=row.order.updated_at),
        row.attempt,
        row.attempts,
        row.maybe_sent_at,
        row.lease_until,
        row.submit_due_at,
        row.last_error,
    )


async def recorded(choices: Sequence[tuple[int, int]], *, together: bool) -> tuple[object, ...]:
    """Claim orders, change some concurrently, then record the results; return the outcome."""
    desk = Desk()
    for order_id in IDS[: len(choices)]:
        await desk.store(order_id, client_order_id=str(order_id))
    claims = await desk.orders.claim(IDS[: len(choices)], lease=30 * SECOND)
    attempts = [(claim, RESULTS[result](claim)) for claim, (result, _) in zip(claims, choices, strict=True)]
    for order_id, (_, number) in zip(IDS, choices, strict=False):
        meanwhile = MEANWHILE[number]
        if meanwhile is not None:
            await meanwhile(desk, order_id)
    recorder = desk.attempt_recorder
    for batch in [attempts] if together else [[each] for each in attempts]:
        await asyncio.gather(*(recorder.record(claim, result) for claim, result in batch))
    return (
        {order_id: state_of(row) for order_id, row in desk.orders.rows.items()},
        sorted((change.order.id, change.order.version, change.kind) for change in desk.publisher.changes),
        sorted(desk.wake_ups.placements),
        sorted(str(fields["order_id"]) for fields in desk.telemetry.said("attempt_fenced")),
    )


@settings(max_examples=300, deadline=None)
@given(choices=st.lists(st.tuples(st.integers(0, len(RESULTS) - 1), st.integers(0, 3)), min_size=1, max_size=6))
def test_together_is_as_one_by_one(choices: list[tuple[int, int]]) -> None:
    async def both() -> tuple[object, object]:
        return await recorded(choices, together=True), await recorded(choices, together=False)

    as_one, one_by_one = asyncio.run(both())

    assert as_one == one_by_one


async def test_all_of_them_are_one_write_and_a_second_one_after_a_concurrent_write() -> None:
    desk = Desk()
    for order_id in IDS:
        await desk.store(order_id, client_order_id=str(order_id))
    claims = await desk.orders.claim(IDS, lease=30 * SECOND)
    recorder = desk.attempt_recorder
    await fill_reported(desk, IDS[2])
    before = len(desk.orders.writes)

    await asyncio.gather(*(recorder.record(claim, RESULTS[0](claim)) for claim in claims))

    assert [len(writes) for writes in desk.orders.writes[before:]] == [len(IDS)]
    assert desk.row(IDS[2]).order.facts.filled_quantity == 1
    assert all(row.lease_until is None and row.submit_due_at is None for row in desk.orders.rows.values())


async def test_of_two_attempts_of_one_order_that_end_together_the_newer_one_counts() -> None:
    desk = Desk()
    await desk.store(IDS[0], client_order_id="one")
    (older,) = await desk.orders.claim([IDS[0]], lease=SECOND)
    desk.clock.advance(timedelta(seconds=60))
    (newer,) = await desk.orders.claim([IDS[0]], lease=30 * SECOND)
    recorder = desk.attempt_recorder

    await asyncio.gather(recorder.record(newer, RESULTS[2](newer)), recorder.record(older, RESULTS[1](older)))

    assert desk.row(IDS[0]).last_error == "refused"
    assert not desk.order(IDS[0]).facts.ends
    assert len(desk.telemetry.said("attempt_fenced")) == 1
