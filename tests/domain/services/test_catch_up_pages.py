"""Catching up on many fills: one batch is written while the next is decided, and each fill is counted once."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from domain.model.errors import UnavailableError
from domain.ports.venue import VenueReport
from domain.services import catch_up
from domain.services.order_cache import OrderCache
from tests.support.examples import at, filled, new_order
from tests.support.memory_gateway import Desk

BATCHES = 4
FILLS_PER_BATCH = catch_up.FILLS_PER_BATCH
FILLS = BATCHES * FILLS_PER_BATCH


@pytest.fixture
async def desk() -> Desk:
    """Return a desk whose one order has been filled in parts without a connection."""
    desk = Desk(cache=OrderCache(orders_max=10))
    order = new_order(quantity=str(FILLS))
    await desk.orders.store(order)
    await desk.submission.submit([order.id])
    desk.venue.fill_pages = [
        [
            VenueReport(
                venue_client_order_id=None,
                venue_order_id="V1",
                reports=[filled("1", name=f"E{number}", cumulative=str(number), venue_order_id="V1")],
                at=at(1),
            )
            for number in range(first, first + FILLS_PER_BATCH)
        ]
        for first in range(1, FILLS + 1, FILLS_PER_BATCH)
    ]
    return desk


def filled_quantity(desk: Desk) -> Decimal:
    (row,) = desk.orders.rows.values()
    return row.order.facts.filled_quantity


async def test_one_batch_is_decided_while_one_is_written_and_no_third(desk: Desk) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def held() -> None:
        begun.set()
        await let_go.wait()

    desk.orders.interruptions.append(held)
    ids = desk.new_id.given
    catching_up = asyncio.create_task(desk.reconciliation.catch_up(cause="started"))
    await begun.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    decided = desk.new_id.given - ids
    let_go.set()
    await catching_up

    assert decided == 2 * FILLS_PER_BATCH
    assert filled_quantity(desk) == FILLS
    assert desk.new_id.given - ids == FILLS
    assert [change.order.filled_quantity for change in desk.publisher.changes[-FILLS:]] == list(range(1, FILLS + 1))


@pytest.mark.parametrize("number", range(BATCHES))
@pytest.mark.parametrize(
    "error", [UnavailableError(), ValueError("a fill that cannot be recorded")], ids=["away", "bad"]
)
async def test_a_batch_that_fails_costs_no_fill(desk: Desk, number: int, error: Exception) -> None:
    async def pass_by() -> None:
        pass

    async def fail() -> None:
        raise error

    happens: list[Callable[[], Awaitable[None]]] = [*[pass_by] * number, fail]
    desk.orders.interruptions.extend(happens)
    if isinstance(error, UnavailableError):
        with pytest.raises(UnavailableError):
            await desk.reconciliation.catch_up(cause="started")
        assert await desk.positions.read(desk.venue.name) is None

    await desk.reconciliation.catch_up(cause="again")

    assert filled_quantity(desk) == FILLS
    assert len(desk.publisher.changes[1:]) == FILLS
    assert desk.dead_letters.letters == []
