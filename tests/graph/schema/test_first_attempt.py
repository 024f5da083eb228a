"""waitMs: the answer contains the first attempt's outcome, or is sent in time without it, and is never an error."""

import asyncio

import pytest

from domain.model.reports import Report, SubmissionInDoubt
from domain.model.values import Reason, ReasonSource
from graph.schema.first_attempt import LOOK_FIRST_SECONDS
from graph.settings import GraphSettings
from tests.support.api_server import Api, running_api, token, until
from tests.support.api_world import START, World
from tests.support.examples import accepted
from tests.support.graphql_orders import limit_order, place

ANSWERED_SECONDS = 3.0
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


async def test_an_attempt_that_leaves_the_order_pending_is_an_outcome_too(api: Api) -> None:
    placing = asyncio.create_task(place(api, wait_ms=10_000))
    await until(lambda: api.world.feed.open_feeds)
    (row,) = api.world.orders.rows.values()

    row.attempts, row.last_attempt_at, row.last_error = 1, START, "HTTP 503: not executed: try again"

    async with asyncio.timeout(ANSWERED_SECONDS):
        answer = await placing
    assert answer["order"]["status"] == "PENDING"
    assert api.world.feed.open_feeds == 0


async def test_an_order_whose_first_attempt_had_failed_is_not_waited_for(api: Api) -> None:
    await place(api)
    (row,) = api.world.orders.rows.values()
    row.attempts, row.last_attempt_at, row.last_error = 1, START, "HTTP 503: not executed: try again"

    async with asyncio.timeout(ANSWERED_SECONDS):
        answer = await place(api, wait_ms=10_000)

    assert (answer["replayed"], answer["order"]["status"]) == (True, "PENDING")


async def test_a_halt_is_no_outcome_of_an_attempt(api: Api) -> None:
    placing = asyncio.create_task(place(api, wait_ms=10_000))
    await until(lambda: api.world.feed.open_feeds)
    (row,) = api.world.orders.rows.values()
    row.last_error = "Trading has been halted"
    await asyncio.sleep(3 * LOOK_FIRST_SECONDS)
    was_waiting = not placing.done()

    row.last_attempt_at = START

    async with asyncio.timeout(ANSWERED_SECONDS):
        await placing
    assert was_waiting


async def test_a_cancel_request_is_no_outcome_of_an_attempt(api: Api) -> None:
    placing = asyncio.create_task(place(api, wait_ms=10_000))
    await until(lambda: api.world.feed.open_feeds)
    ((order_id, row),) = api.world.orders.rows.items()
    row.lease_until = START  # An attempt is under way, so the order cannot be over at once.
    await api.data(
        "mutation ($id: ID!) { cancelOrder(input: {orderId: $id}) { __typename } }", {"id": f"ord_{order_id.hex}"}
    )
    was_waiting = not placing.done()

    await api.world.report(order_id, accepted())

    async with asyncio.timeout(ANSWERED_SECONDS):
        answer = await placing
    assert was_waiting
    assert answer["order"]["status"] == "PENDING_CANCEL"


@pytest.mark.parametrize("compiled", [True, False])
async def test_the_waits_of_several_orders_of_an_operation_do_not_exceed_its_deadline(*, compiled: bool) -> None:
    settings = GraphSettings(operation_timeout_seconds=1.0, compiled_operations=compiled)
    document = "mutation ({}) {{ {} }}".format(
        " ".join(f"$o{number}: PlaceOrderInput!" for number in range(4)),
        " ".join(f"o{number}: placeOrder(input: $o{number}, waitMs: 700) {{ __typename }}" for number in range(4)),
    )
    orders = {f"o{number}": limit_order(f"order-{number}") for number in range(4)}
    async with running_api(World(settings=settings)) as api:
        answer = await api.data(document, orders)

    assert answer == {name: {"__typename": "PlaceOrderSuccess"} for name in orders}


async def test_a_wait_alone_takes_what_it_asks_for(api: Api) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    await place(api, wait_ms=300)

    assert 0.3 <= loop.time() - began < 1.0
    assert api.world.feed.open_feeds == 0


async def test_waits_of_an_account_are_bounded_and_those_beyond_are_answered_at_once() -> None:
    async with running_api(World(settings=GraphSettings(waits_per_account=2))) as api:
        await _wait_beyond_two(api)


async def _wait_beyond_two(api: Api) -> None:
    await place(api)
    waiting = [asyncio.create_task(place(api, wait_ms=10_000)) for _ in range(2)]
    await until(lambda: api.world.feed.open_feeds == 2)

    async with asyncio.timeout(ANSWERED_SECONDS):
        beyond = await place(api, wait_ms=10_000)
        of_another = asyncio.create_task(place(api, bearer=token("bob"), wait_ms=10_000))
        await until(lambda: api.world.feed.open_feeds == 3)
        for order_id in list(api.world.orders.rows):
            await api.world.report(order_id, accepted())
        answers = [beyond, *await asyncio.gather(*waiting), await of_another]
        again = asyncio.create_task(place(api, limit_order("two"), wait_ms=10_000))
        await until(lambda: api.world.feed.open_feeds)
        await api.world.report(list(api.world.orders.rows)[-1], accepted())
        answers.append(await again)

    assert [answer["order"]["status"] for answer in answers] == ["PENDING", *["PLACED"] * 4]
