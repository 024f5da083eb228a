"""waitMs: the answer contains the first attempt's outcome, or is sent in time without it, and is never an error."""

import asyncio

import pytest

from domain.model.reports import Report, SubmissionInDoubt
from domain.model.values import Reason, ReasonSource
from tests.support.api_server import Api, until
from tests.support.api_world import START
from tests.support.examples import accepted
from tests.support.graphql_orders import place

UNKNOWN = SubmissionInDoubt(
    reason=Reason(source=ReasonSource.SYSTEM, code="ANSWER_LOST", message="The answer was lost."), at=START
)


@pytest.mark.parametrize(("report", "status"), [(accepted(), "PLACED"), (UNKNOWN, "IN_DOUBT")])
async def test_the_answer_contains_the_outcome_of_the_first_attempt(api: Api, report: Report, status: str) -> None:
    placing = asyncio.create_task(place(api, wait_ms=10_000))
    await until(lambda: api.world.feed.open_feeds)
    (order_id,) = api.world.orders.rows

    await api.world.report(order_id, report)

    answer = await placing
    assert answer["order"]["status"] == status
    assert answer["order"]["version"] == 2
    assert api.world.feed.open_feeds == 0


async def test_when_the_time_is_up_the_current_order_is_returned(api: Api) -> None:
    answer = await place(api, wait_ms=1)

    assert answer["__typename"] == "PlaceOrderSuccess"
    assert answer["order"]["status"] == "PENDING"
    assert api.world.feed.open_feeds == 0


async def test_a_feed_that_fails_while_waiting_is_no_error(api: Api) -> None:
    api.world.feed.failure = RuntimeError("the feed is broken")

    answer = await place(api, wait_ms=10_000)

    assert answer["order"]["status"] == "PENDING"
    assert len(api.world.telemetry.said("wait_failed")) == 1


async def test_an_order_that_is_known_to_be_placed_is_not_waited_for(api: Api) -> None:
    await place(api)
    (order_id,) = api.world.orders.rows
    await api.world.report(order_id, accepted())

    answer = await place(api, wait_ms=10_000)

    assert answer["replayed"] is True
    assert answer["order"]["status"] == "PLACED"
