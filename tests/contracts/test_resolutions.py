"""ResolutionRequests and Resolutions: stored once, claimed by one worker, applied together with the order and its
action or not at all.
"""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from domain.model.apply_reports import apply_reports
from domain.model.changes import ChangeKind
from domain.model.errors import ClientRequestIdConflictError, OrderNotFoundError, VersionConflictError
from domain.model.operator_actions import ActionFilter, Actor, OperatorAction, RequestedAction
from domain.model.operator_end import EndedAs
from domain.model.order import OrderStatus
from domain.model.order_query import PageRequest
from domain.model.reports import ExecutionBooked, OperatorBusted, OperatorEnded, OrderShownOpen, Report
from domain.model.resolutions import Adopt, AskVenue, Book, Bust, EndAs, Refusal, Reread, Resolution, ResolveAction
from domain.model.values import Reason, ReasonSource
from domain.ports.order_store import OrderWrite
from tests.contracts.stores import Adapters
from tests.support.examples import accepted, filled, now
from tests.support.resolving import a_booking, asked
from tests.support.store_driver import Clerk

LEASE = timedelta(seconds=30)
BY_STATEMENT = Reason(source=ReasonSource.OPERATOR, code="OPERATOR_EXPIRED", message="An operator ended it.")
ACTIONS: list[ResolveAction] = [
    Reread(),
    Adopt(venue_order_id="V1"),
    a_booking("0.000000000000000001", name="E9"),
    a_booking(),
    Bust(execution_id=UUID(int=7)),
    EndAs(status=OrderStatus.EXPIRED),
    AskVenue(),
]


async def apply(adapters: Adapters, resolution: Resolution, *reports: Report) -> OrderWrite:
    """Write the reports as the request's effect, like a worker."""
    row = await adapters.orders.load_whole(resolution.order_id)
    assert row is not None
    applied = apply_reports(row.order, reports, known=row.executions, now=now(), new_id=uuid7)
    write = OrderWrite(
        order=applied.order,
        read_version=row.order.version,
        changes=applied.changes,
        executions=applied.executions,
    )
    action = RequestedAction(resolution_id=resolution.id, before='{"a":1}', after='{"a":2}')
    await adapters.orders.write([write], action=action)
    return write


def booked(resolution: Resolution) -> ExecutionBooked:
    assert isinstance(resolution.action, Book)
    return ExecutionBooked(
        booking_id=resolution.id,
        venue_execution_id=resolution.action.venue_execution_id,
        trade=resolution.action.trade,
        at=resolution.action.executed_at,
        booked_at=now(),
    )


async def trail(adapters: Adapters, order_id: UUID) -> list[OperatorAction]:
    page = await adapters.actions.page(PageRequest(limit=10), filter=ActionFilter(order_id=order_id))
    return list(page.rows)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
async def test_a_request_is_read_back_unchanged(adapters: Adapters, clerk: Clerk, action: ResolveAction) -> None:
    (order_id,) = await clerk.store(1)
    new = asked(order_id, action)

    stored = await adapters.resolutions.add(new)

    assert (stored.id, stored.order_id, stored.action, stored.reason) == (new.id, order_id, action, "a statement")
    assert (stored.done_at, stored.refusal, stored.answer) == (None, None, None)
    assert await adapters.resolutions.find(new.id) == stored


async def test_a_repeat_is_the_same_request_and_other_content_or_another_reason_is_a_conflict(
    adapters: Adapters, clerk: Clerk
) -> None:
    order_id, other_id = await clerk.store(2)
    first = await adapters.resolutions.add(asked(order_id, Reread(), request="r"))

    repeat = await adapters.resolutions.add(asked(order_id, Reread(), request="r"))
    of_another_order = await adapters.resolutions.add(asked(other_id, Reread(), request="r"))
    of_another_subject = await adapters.resolutions.add(
        asked(order_id, Reread(), request="r", by=Actor(subject="otto"))
    )

    assert repeat.id == first.id
    assert len({first.id, of_another_order.id, of_another_subject.id}) == 3
    for conflicting in (asked(order_id, Adopt(venue_order_id="V1"), request="r"),):
        with pytest.raises(ClientRequestIdConflictError):
            await adapters.resolutions.add(conflicting)
    with pytest.raises(ClientRequestIdConflictError):
        await adapters.resolutions.add(asked(order_id, Reread(), request="r", reason="another"))


async def test_requests_about_an_order_that_does_not_exist_are_refused(adapters: Adapters) -> None:
    with pytest.raises(OrderNotFoundError):
        await adapters.resolutions.add(asked(uuid7(), Reread()))


async def test_of_two_workers_one_takes_a_request_and_a_done_one_is_not_claimed_again(
    adapters: Adapters, clerk: Clerk
) -> None:
    ids = await clerk.store(4)
    new = [await adapters.resolutions.add(asked(order_id, AskVenue())) for order_id in ids]

    taken = await asyncio.gather(*(adapters.resolutions.take(limit=3, lease=LEASE) for _ in range(2)))
    await adapters.resolutions.answer(new[0].id, "{}")
    await adapters.resolutions.refuse(new[1].id, Refusal(field="action", message="No."))
    abandoned = await adapters.resolutions.take(limit=9, lease=timedelta(0))

    assert sorted(one.id for some in taken for one in some) == sorted(one.id for one in new)
    assert abandoned == []
    answered, refused = [await adapters.resolutions.find(one.id) for one in new[:2]]
    assert (answered.answer, answered.refusal) == ("{}", None)
    assert (refused.answer, refused.refusal) == (None, Refusal(field="action", message="No."))
    assert answered.done_at is not None
    assert refused.done_at is not None


async def test_actions_are_taken_before_questions_that_were_asked_earlier(adapters: Adapters, clerk: Clerk) -> None:
    order_ids = await clerk.store(3)
    for order_id in order_ids:
        await adapters.resolutions.add(asked(order_id, AskVenue()))
    end = await adapters.resolutions.add(asked(order_ids[2], EndAs(status=OrderStatus.EXPIRED)))

    taken = [await adapters.resolutions.take(limit=2, lease=LEASE) for _ in range(2)]

    assert taken[0][0].id == end.id
    assert [len(some) for some in taken] == [2, 2]


async def test_a_request_whose_worker_died_is_taken_again(adapters: Adapters, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    new = await adapters.resolutions.add(asked(order_id, Reread()))

    first = await adapters.resolutions.take(limit=1, lease=timedelta(microseconds=1))
    second = await adapters.resolutions.take(limit=1, lease=LEASE)

    assert [one.id for one in (*first, *second)] == [new.id, new.id]


async def test_a_request_is_written_with_its_action_and_only_once(adapters: Adapters, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), filled("33", name=f"e-{order_id}", cumulative="33")]})
    new = await adapters.resolutions.add(asked(order_id, a_booking("67", name=f"later-{order_id}")))

    await apply(adapters, new, booked(new))
    with pytest.raises(VersionConflictError):
        await apply(adapters, new, OperatorBusted(venue_execution_id=f"e-{order_id}", at=now()))

    row = await adapters.orders.load_whole(order_id)
    assert row is not None
    assert (row.order.status, row.order.facts.filled_quantity) == (OrderStatus.FILLED, Decimal(100))
    booking = next(one for one in row.executions if one.is_booked)
    assert (booking.id, booking.booked_as, booking.is_busted) == (new.id, f"later-{order_id}", False)
    (action,) = await trail(adapters, order_id)
    assert (action.id, action.action, action.actor, action.token_id) == (new.id, "EXECUTION_BOOKED", "olga", "t-1")
    assert (action.reason, action.account_id, action.before, action.after) == (
        *("a statement", "alice"),
        *('{"a":1}', '{"a":2}'),
    )
    assert (await adapters.resolutions.find(new.id)).done_at is not None


@pytest.mark.parametrize("is_named", [True, False])
async def test_a_booked_execution_that_the_venue_lists_later_is_one(
    adapters: Adapters,
    clerk: Clerk,
    is_named: bool,
) -> None:
    (order_id,) = await clerk.store(1)
    name = f"e-{order_id}"
    await clerk.record({order_id: [accepted()]})
    new = await adapters.resolutions.add(asked(order_id, a_booking("40", name=name if is_named else None)))
    write = await apply(adapters, new, booked(new))

    first = await clerk.record({order_id: [filled("40", name=name, cumulative="40")]})
    repeat = await clerk.record({order_id: [filled("40", name=name, cumulative="40")]})

    row = await adapters.orders.load_whole(order_id)
    assert row is not None
    assert [change.kind for change in write.changes] == [ChangeKind.RESOLVED]
    assert [change.kind for change in first] == [ChangeKind.CORRECTED]
    assert first[0].order.version == write.order.version + 1
    assert list(repeat) == []
    assert (row.order.facts.filled_quantity, row.order.facts.notional) == (Decimal(40), Decimal(500))
    assert row.filled_up_to == 40
    counting = {one.venue_execution_id: one.trade.quantity for one in row.executions}
    assert counting == {f"booked:{new.id.hex}": Decimal(0), name: Decimal(40)}


async def test_while_a_booking_is_open_no_fill_is_applied_without_reading_the_executions(
    adapters: Adapters, clerk: Clerk
) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted(), filled("10", name=f"e-{order_id}", cumulative="10")]})
    new = await adapters.resolutions.add(asked(order_id, a_booking("40", name="other")))

    await apply(adapters, new, booked(new))
    row = await adapters.orders.load_whole(order_id)
    assert row is not None
    assert row.filled_up_to is None
    busted = await adapters.resolutions.add(asked(order_id, Bust(execution_id=new.id)))
    await apply(adapters, busted, OperatorBusted(venue_execution_id=f"booked:{new.id.hex}", at=now()))

    loaded = (await adapters.orders.load([order_id]))[order_id]
    assert (loaded.filled_up_to, loaded.order.facts.filled_quantity) == (Decimal(10), Decimal(10))


async def test_an_end_by_an_operator_is_read_back_and_so_is_its_overruling(adapters: Adapters, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    await clerk.record({order_id: [accepted()]})
    new = await adapters.resolutions.add(asked(order_id, EndAs(status=OrderStatus.EXPIRED)))

    write = await apply(adapters, new, OperatorEnded(ended_as=EndedAs.EXPIRED, reason=BY_STATEMENT, at=now()))
    ended = (await adapters.orders.load([order_id]))[order_id].order
    (revived,) = await clerk.record({order_id: [OrderShownOpen(at=now())]})
    again = (await adapters.orders.load([order_id]))[order_id].order

    assert ended == write.order
    assert (ended.status, ended.reason) == (OrderStatus.EXPIRED, BY_STATEMENT)
    assert (revived.kind, again.status, again.reason) == (ChangeKind.REVIVED, OrderStatus.PLACED, None)
    end = again.facts.operator_end
    assert end is not None
    assert (end.number, end.is_overruled) == (1, True)
    shown = await adapters.reader.order(order_id, account_ids=None)
    assert shown is not None
    assert shown.status is OrderStatus.PLACED


async def test_a_question_leaves_no_action_even_if_it_were_completed(adapters: Adapters, clerk: Clerk) -> None:
    (order_id,) = await clerk.store(1)
    question = await adapters.resolutions.add(asked(order_id, AskVenue()))
    reread = await adapters.resolutions.add(asked(order_id, Reread()))

    for one in (question, reread, reread):
        await adapters.resolutions.complete(one.id, before="{}", after="{}")

    assert [action.action for action in await trail(adapters, order_id)] == ["ORDER_REREAD"]
    assert (await adapters.resolutions.find(question.id)).done_at is None
