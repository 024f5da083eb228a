"""Some orders are claimed before a slot is free for them, and not many."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from domain.model.order import OrderStatus
from domain.services.claim_budget import BudgetExhaustedError, ClaimBudget
from tests.support.examples import ORDER_ID
from tests.support.memory_gateway import Desk

WAIT_MAX = timedelta(seconds=5)


async def claim(claim_budget: ClaimBudget, count: int, entered: list[int], ended: asyncio.Event) -> None:
    async with claim_budget.reserve(count, within=WAIT_MAX) as reservation:
        entered.append(count)
        reservation.reduce_to(count)
        await ended.wait()


async def turns() -> None:
    """Run all tasks that can run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_claims_wait_for_capacity_in_their_order_of_arrival() -> None:
    claim_budget, entered = ClaimBudget(orders_max=4), list[int]()
    ends = [asyncio.Event() for _ in range(4)]

    async with asyncio.TaskGroup() as tasks:
        for count, end in zip((3, 2, 9, 1), ends, strict=True):
            tasks.create_task(claim(claim_budget, count, entered, end))
        await turns()
        first = list(entered)
        ends[0].set()
        await turns()
        second = list(entered)
        ends[1].set()
        ends[2].set()
        await turns()
        third = list(entered)
        ends[3].set()

    # Two of five are left after the first, so nine more may be claimed; the last one waits until those end.
    assert (first, second, third) == ([3, 2], [3, 2, 9], [3, 2, 9, 1])


async def test_what_was_not_claimed_or_has_begun_makes_room() -> None:
    claim_budget, entered = ClaimBudget(orders_max=1), list[int]()
    may_end = asyncio.Event()
    may_end.set()

    async with claim_budget.reserve(3, within=WAIT_MAX) as reservation:
        waiting = asyncio.create_task(claim(claim_budget, 1, entered, may_end))
        reservation.reduce_to(1)
        await turns()
        before = list(entered)
        reservation.release_one()
        await waiting

    assert (before, entered) == ([], [1])


async def test_a_caller_cancelled_while_waiting_or_claiming_releases_its_share() -> None:
    claim_budget, entered, never = ClaimBudget(orders_max=1), list[int](), asyncio.Event()
    holding = asyncio.create_task(claim(claim_budget, 5, entered, never))
    waiting = asyncio.create_task(claim(claim_budget, 6, entered, never))
    await turns()

    waiting.cancel()
    holding.cancel()
    await asyncio.gather(holding, waiting, return_exceptions=True)
    never.set()
    async with asyncio.timeout(5):
        await claim(claim_budget, 7, entered, never)

    assert entered == [5, 7]


async def test_a_job_that_finds_no_room_leaves_its_orders_to_the_sweeper_and_takes_nothing() -> None:
    desk = Desk()
    await desk.store()
    submission = desk.submission
    lease = replace(submission.attempt_policy.policy, lease=timedelta(milliseconds=100))
    submission = replace(submission, attempt_policy=replace(submission.attempt_policy, policy=lease))

    async with submission.claim_budget.reserve(9, within=WAIT_MAX):
        assert await submission.submit([ORDER_ID]) == 0
        assert await submission.sweep(limit=1, overdue_by=timedelta(0)) == 0
    assert desk.row().lease_until is None

    assert await submission.submit([ORDER_ID]) == 1
    assert desk.order().status is OrderStatus.PLACED


async def test_there_is_no_capacity_until_a_release() -> None:
    claim_budget = ClaimBudget(orders_max=1)

    async with claim_budget.reserve(1, within=WAIT_MAX):
        with pytest.raises(BudgetExhaustedError):
            async with claim_budget.reserve(1, within=timedelta(0)):
                pass
    async with claim_budget.reserve(1, within=WAIT_MAX):
        pass


@pytest.mark.parametrize("jobs", [1, 5, 30])
async def test_for_any_number_of_concurrent_jobs_few_orders_are_claimed_before_they_are_sent(jobs: int) -> None:
    desk, ahead_of_slots = Desk(), [0]
    ids = [UUID(int=number) for number in range(1, 1 + 3 * jobs)]
    for order_id in ids:
        await desk.store(order_id, client_order_id=str(order_id))

    async def look() -> None:
        claimed = sum(row.lease_until is not None for row in desk.orders.rows.values())
        ahead_of_slots.append(claimed - desk.venue.asked.count("submit"))
        await asyncio.sleep(0)

    desk.venue.during_submit = look
    submission = desk.submission

    await asyncio.gather(*(submission.submit(ids[start : start + 3]) for start in range(0, len(ids), 3)))

    # Fewer than four are claimed when three more may be.
    assert max(ahead_of_slots) <= 3 + 3
    assert {desk.order(order_id).status for order_id in ids} == {OrderStatus.PLACED}
