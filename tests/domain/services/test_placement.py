"""Accepting: what is refused and why, and that one intent is one order however often it is sent."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.model.errors import (
    ClientOrderIdConflictError,
    InvalidOrderError,
    IssueCode,
    OrderDeniedError,
    UnavailableError,
)
from domain.model.order import OrderStatus
from domain.model.values import Instrument, OrderType, Side, TimeInForce
from domain.ports.telemetry import Metric
from domain.services.place_order import PlaceOrder, find_issues
from domain.services.placement import INSTRUMENT_NOT_TRADABLE
from tests.support.examples import ISIN, an_instrument
from tests.support.fakes.installation import PREFIXES
from tests.support.memory_gateway import Desk

COMMAND = PlaceOrder(
    account_id="alice",
    client_order_id="intent-1",
    isin=ISIN,
    side=Side.BUY,
    type=OrderType.LIMIT,
    time_in_force=TimeInForce.DAY,
    quantity=Decimal(10),
    limit_price=Decimal("12.50"),
)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("command", "field", "code"),
    [
        (replace(COMMAND, client_order_id=""), "clientOrderId", IssueCode.BAD_FORMAT),
        (replace(COMMAND, client_order_id="x" * 49), "clientOrderId", IssueCode.BAD_FORMAT),
        (replace(COMMAND, client_order_id="a b"), "clientOrderId", IssueCode.BAD_FORMAT),
        (replace(COMMAND, isin="US0378331006"), "isin", IssueCode.BAD_FORMAT),
        (replace(COMMAND, isin="DE0007164600"), "isin", IssueCode.UNKNOWN_INSTRUMENT),
        (replace(COMMAND, quantity=Decimal(0)), "quantity", IssueCode.OUT_OF_RANGE),
        (replace(COMMAND, quantity=Decimal(-1)), "quantity", IssueCode.OUT_OF_RANGE),
        (replace(COMMAND, quantity=Decimal("1.5")), "quantity", IssueCode.BAD_LOT),
        (replace(COMMAND, limit_price=None), "limitPrice", IssueCode.REQUIRED),
        (replace(COMMAND, type=OrderType.MARKET), "limitPrice", IssueCode.NOT_ALLOWED),
        (replace(COMMAND, limit_price=Decimal(0)), "limitPrice", IssueCode.OUT_OF_RANGE),
        (replace(COMMAND, limit_price=Decimal(-1)), "limitPrice", IssueCode.OUT_OF_RANGE),
        (replace(COMMAND, limit_price=Decimal("12.505")), "limitPrice", IssueCode.BAD_TICK),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named_with_its_path_and_code(
    desk: Desk, command: PlaceOrder, field: str, code: IssueCode
) -> None:
    with pytest.raises(InvalidOrderError) as refusal:
        await desk.placement.place(command)

    assert [(issue.path, issue.code) for issue in refusal.value.issues] == [(("input", field), code)]
    assert all(issue.message for issue in refusal.value.issues)
    assert not desk.orders.rows
    assert not desk.wake_ups.placements


async def test_everything_invalid_is_reported_together(desk: Desk) -> None:
    command = replace(
        COMMAND, client_order_id="", isin="nonsense", quantity=Decimal(0), limit_price=None, type=OrderType.LIMIT
    )

    with pytest.raises(InvalidOrderError) as refusal:
        await desk.placement.place(command)

    assert [issue.path[-1] for issue in refusal.value.issues] == ["clientOrderId", "isin", "quantity", "limitPrice"]
    assert "input.quantity: " in str(refusal.value)


def test_a_market_order_without_a_price_is_right() -> None:
    command = replace(COMMAND, type=OrderType.MARKET, limit_price=None)

    assert find_issues(command, an_instrument()) == ()


def test_decimals_are_steps_of_the_instrument_with_any_trailing_zeros() -> None:
    command = replace(COMMAND, quantity=Decimal("10.000"), limit_price=Decimal("12.500000000000000000"))

    assert find_issues(command, an_instrument()) == ()


async def test_an_accepted_order_is_stored_published_and_woken_once(desk: Desk) -> None:
    accepted = await desk.placement.place(COMMAND)

    assert accepted.order.status is OrderStatus.PENDING
    assert accepted.order.version == 1
    assert not accepted.replayed
    assert desk.kinds() == ["RECEIVED"]
    assert [change.sequence for change in desk.publisher.changes] == [1]
    assert desk.wake_ups.placements == [(accepted.order.id, timedelta(0))]
    assert desk.telemetry.counted(Metric.ORDERS_STORED) == 1


async def test_storing_never_calls_the_venue(desk: Desk) -> None:
    desk.venue.is_reachable = False

    await desk.placement.place(COMMAND)

    assert desk.venue.asked == []


async def test_the_same_intent_sent_again_returns_the_same_current_order(desk: Desk) -> None:
    first = await desk.placement.place(COMMAND)
    await desk.submission.submit([first.order.id])

    again = await desk.placement.place(replace(COMMAND, quantity=Decimal("10.0")))

    assert again.replayed
    assert again.order.id == first.order.id
    assert again.order.status is OrderStatus.PLACED
    assert len(desk.orders.rows) == 1
    assert len(desk.wake_ups.placements) == 1
    assert desk.telemetry.counted(Metric.ORDERS_REPLAYED) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(COMMAND, side=Side.SELL),
        replace(COMMAND, quantity=Decimal(11)),
        replace(COMMAND, limit_price=Decimal("12.51")),
        replace(COMMAND, time_in_force=TimeInForce.GTC),
        replace(COMMAND, type=OrderType.MARKET, limit_price=None),
    ],
)
async def test_another_intent_under_a_used_id_is_a_conflict_that_shows_the_order(desk: Desk, other: PlaceOrder) -> None:
    first = await desk.placement.place(COMMAND)

    with pytest.raises(ClientOrderIdConflictError) as conflict:
        await desk.placement.place(other)

    assert conflict.value.existing == first.order
    assert len(desk.orders.rows) == 1


async def test_two_accounts_may_use_the_same_id(desk: Desk) -> None:
    first = await desk.placement.place(COMMAND)

    second = await desk.placement.place(replace(COMMAND, account_id="bob"))

    assert second.order.id != first.order.id
    assert not second.replayed


async def test_an_instrument_that_is_not_tradable_is_denied_before_anything_is_stored(desk: Desk) -> None:
    desk.catalog.instruments[ISIN] = an_instrument(tradable=False)

    with pytest.raises(OrderDeniedError) as denial:
        await desk.placement.place(COMMAND)

    assert denial.value.code == INSTRUMENT_NOT_TRADABLE
    assert not desk.orders.rows
    assert desk.telemetry.counted(Metric.ORDERS_DENIED, code=INSTRUMENT_NOT_TRADABLE) == 1


async def test_a_renamed_listing_does_not_turn_a_repeat_into_a_conflict(desk: Desk) -> None:
    first = await desk.placement.place(COMMAND)
    desk.catalog.instruments[ISIN] = replace(an_instrument(), symbol="APPL")

    again = await desk.placement.place(COMMAND)

    assert again.order.id == first.order.id


@pytest.mark.parametrize(
    "instrument",
    [an_instrument(tradable=False), replace(an_instrument(), lot_size=Decimal(100)), None],
    ids=["halted", "other lot size", "delisted"],
)
async def test_a_stored_order_is_replayed_even_if_it_would_not_be_accepted_today(
    desk: Desk, instrument: Instrument | None
) -> None:
    # Otherwise a client whose answer was lost would get the answer that the order was not stored, while it is live.
    first = await desk.placement.place(COMMAND)
    desk.catalog.instruments = {} if instrument is None else {ISIN: instrument}

    again = await desk.placement.place(COMMAND)

    assert again.replayed
    assert again.order.id == first.order.id


async def test_without_the_database_nothing_is_stored_and_no_worker_woken(desk: Desk) -> None:
    desk.orders.failure = UnavailableError()

    with pytest.raises(UnavailableError):
        await desk.placement.place(COMMAND)

    assert not desk.wake_ups.placements
    assert not desk.publisher.commits


async def test_an_intent_keeps_its_name_at_the_venue_when_its_row_is_lost(desk: Desk) -> None:
    first = await desk.placement.place(COMMAND)
    name = desk.order(first.order.id).venue_client_order_id
    desk.orders.rows.clear()

    again = await desk.placement.place(COMMAND)

    assert again.order.id != first.order.id
    assert desk.order(again.order.id).venue_client_order_id == name
    assert PREFIXES.is_ours(name)


async def test_the_same_client_order_id_in_two_accounts_has_two_names_at_the_venue(desk: Desk) -> None:
    mine = await desk.placement.place(COMMAND)
    theirs = await desk.placement.place(replace(COMMAND, account_id="bob"))

    names = {desk.order(one.order.id).venue_client_order_id for one in (mine, theirs)}
    assert len(names) == 2


async def test_a_repeated_intent_whose_order_the_venue_has_is_adopted_and_never_a_second_order(desk: Desk) -> None:
    first = await desk.placement.place(COMMAND)
    await desk.submission.submit([first.order.id])
    desk.orders.rows.clear()

    again = await desk.placement.place(COMMAND)
    await desk.submission.submit([again.order.id])

    assert len(desk.venue.orders) == 1
    assert desk.order(again.order.id).status is OrderStatus.PLACED
