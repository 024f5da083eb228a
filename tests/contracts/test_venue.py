"""Venue: an order is placed once, found by both ids, canceled; an unreachable venue raises."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from domain.model.errors import VenueUnreachableError
from domain.model.reports import OrderFilled
from domain.model.values import OrderType, Terms
from domain.ports.venue import OrdersPage, Venue, VenueOrder, VenueReport
from domain.ports.venue_outcomes import (
    AlreadyPlaced,
    CancelNotPossible,
    CancelTaken,
    CancelUnknown,
    NotExecuted,
    Placed,
)
from tests.support.examples import now, some_terms
from tests.support.exchange import an_exchange
from tests.support.fakes.installation import new_name
from tests.support.fakes.venue import ScriptedVenue

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TERMS = replace(some_terms(quantity="10"), type=OrderType.MARKET, limit_price=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A venue, and control of its state."""

    venue: Venue
    fill: Callable[[str, str, str], Awaitable[None]]
    go_down: Callable[[], Awaitable[None]]

    async def placed(self, name: str, terms: Terms = TERMS) -> str:
        """Place an order; return the venue's id of it."""
        outcome = await self.venue.submit(name, terms)
        assert isinstance(outcome, Placed)
        return outcome.report.venue_order_id


@pytest.fixture(params=["scripted", "simulator"])
async def market(request: pytest.FixtureRequest) -> AsyncIterator[Market]:
    """Return the venue under test."""
    if request.param == "scripted":
        yield _scripted()
        return
    async with an_exchange() as exchange:
        yield Market(
            venue=exchange.venue,
            fill=lambda name, quantity, price: exchange.fill(name, qty=quantity, price=price),
            go_down=lambda: exchange.control("PUT", "faults", down=True),
        )


def _scripted() -> Market:
    venue = ScriptedVenue(now)

    async def fill(name: str, quantity: str, price: str) -> None:
        venue.fill(name, quantity=Decimal(quantity), price=Decimal(price))

    async def go_down() -> None:
        venue.is_reachable = False

    return Market(venue=venue, fill=fill, go_down=go_down)


async def test_an_order_is_placed_once_and_found_by_both_ids(market: Market) -> None:
    name, venue = new_name(), market.venue

    venue_order_id = await market.placed(name)

    assert await venue.submit(name, TERMS) == AlreadyPlaced()
    found = await venue.find(name)
    assert found is not None
    assert (found.venue_client_order_id, found.venue_order_id, found.is_open) == (name, venue_order_id, True)
    assert found.terms is not None
    assert TERMS.is_at_venue_as(found.terms)
    assert await venue.find_by_venue_order_id(venue_order_id) == found
    assert await venue.open_orders() == OrdersPage(orders=[found], next_page=None)


async def test_an_order_that_the_venue_does_not_have_is_not_found(market: Market) -> None:
    assert await market.venue.find(new_name()) is None
    assert await market.venue.find_by_venue_order_id(str(uuid4())) is None
    assert (await market.venue.open_orders()).orders == []


async def test_fills_name_their_order_by_the_venues_id_and_count_up(market: Market) -> None:
    name = new_name()
    venue_order_id = await market.placed(name)
    await market.fill(name, "4", "12.5")
    await market.fill(name, "6", "12.6")

    reports = [report async for page in market.venue.fills(since=LONG_AGO) for report in page]

    assert all(isinstance(report, VenueReport) and report.venue_client_order_id is None for report in reports)
    assert {report.venue_order_id for report in reports} == {venue_order_id}
    fills = [
        fill
        for report in reports
        if isinstance(report, VenueReport)
        for fill in report.reports
        if isinstance(fill, OrderFilled)
    ]
    assert [(fill.trade.quantity, fill.trade.price, fill.cumulative_quantity) for fill in fills] == [
        (Decimal(4), Decimal("12.5"), Decimal(4)),
        (Decimal(6), Decimal("12.6"), Decimal(10)),
    ]
    assert len({fill.venue_execution_id for fill in fills}) == 2


async def test_a_filled_order_is_over_and_cannot_be_canceled(market: Market) -> None:
    name = new_name()
    venue_order_id = await market.placed(name)
    await market.fill(name, "10", "12.5")

    found = await market.venue.find(name)

    assert found is not None
    assert (found.is_open, found.filled_quantity) == (False, Decimal(10))
    assert (await market.venue.open_orders()).orders == []
    assert isinstance(await market.venue.cancel(venue_order_id), CancelNotPossible)


async def test_the_closed_orders_are_listed_the_newest_first_and_no_open_one(market: Market) -> None:
    first, second, still_open = new_name(), new_name(), new_name()
    for name in (first, second, still_open):
        await market.placed(name)
    since = now() - timedelta(hours=1)
    await market.fill(first, "10", "12.5")

    before = await market.venue.closed_orders(since=since)
    await market.fill(second, "10", "12.5")
    after = await market.venue.closed_orders(since=since)
    of_tomorrow = await market.venue.closed_orders(since=now() + timedelta(hours=1))

    assert [one.venue_client_order_id for one in before.orders if isinstance(one, VenueOrder)] == [first]
    assert {one.venue_client_order_id for one in after.orders if isinstance(one, VenueOrder)} == {first, second}
    assert after.next_page is None
    assert of_tomorrow.orders == []


async def test_an_open_order_takes_a_cancel_request_and_an_unknown_one_does_not(market: Market) -> None:
    venue_order_id = await market.placed(new_name())

    assert await market.venue.cancel(venue_order_id) == CancelTaken()
    assert isinstance(await market.venue.cancel(str(uuid4())), CancelNotPossible)


async def test_a_venue_that_is_down_places_nothing_and_answers_no_question(market: Market) -> None:
    name = new_name()
    venue_order_id = await market.placed(name)
    await market.go_down()
    venue = market.venue

    assert isinstance(await venue.submit(new_name(), TERMS), NotExecuted)
    assert isinstance(await venue.cancel(venue_order_id), CancelUnknown)
    questions: list[Awaitable[object]] = [
        venue.find(name),
        venue.find_by_venue_order_id(venue_order_id),
        venue.open_orders(),
        venue.instruments(),
        anext(aiter(venue.fills(since=LONG_AGO))),
    ]
    for question in questions:
        with pytest.raises(VenueUnreachableError):
            await question
