"""Halts and limits in the services: their effect on placing and submitting, and the log events."""

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from domain.model.errors import InvalidLimitsError, NotHaltedError, OrderDeniedError, UnavailableError
from domain.model.limits import AccountLimits, LimitCode
from domain.model.operator_actions import Actor, NewAction
from domain.model.order import OrderStatus
from domain.model.rate_budget import RequestPriority
from domain.model.values import OrderType, Side, TimeInForce
from domain.ports.rate_limiter import Unlimited
from domain.ports.telemetry import Metric
from domain.ports.trading_control import TradingHalt, TradingHalts
from domain.services.claim_age import ClaimAge
from domain.services.halt_cache import HaltCache
from domain.services.place_order import PlaceOrder
from domain.services.trading_control import TradingControl
from runtime.alerts.kinds import ALERTS
from tests.support.examples import ISIN, ORDER_ID, corrected, filled
from tests.support.fakes.trading_control import MemoryTradingHalts
from tests.support.memory_gateway import SECOND, Desk
from tests.support.operators import OLGA

OTTO = Actor(subject="otto")
COMMAND = PlaceOrder(
    account_id="alice",
    client_order_id="intent-2",
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


@pytest.fixture
def control(desk: Desk) -> TradingControl:
    """Provide the operators' side of the desk."""
    return desk.control


def uncached(halts: TradingHalts) -> HaltCache:
    """Return a cache that reads the halts before every order."""
    return HaltCache(halts, age_max_seconds=0)


async def test_a_denied_order_is_counted_by_its_limit_and_wakes_no_worker(desk: Desk, control: TradingControl) -> None:
    await control.set_limits(AccountLimits(max_quantity=Decimal(9)), actor=OLGA, reason="a test")

    with pytest.raises(OrderDeniedError) as denial:
        await desk.placement.place(COMMAND)

    assert denial.value.code == LimitCode.MAX_QUANTITY
    assert desk.telemetry.counted(Metric.ORDERS_DENIED, code="MAX_QUANTITY") == 1
    assert not desk.orders.rows
    assert not desk.wake_ups.placements


async def test_a_limit_that_was_set_a_moment_ago_holds_although_the_old_one_is_remembered(
    desk: Desk, control: TradingControl
) -> None:
    await desk.placement.place(COMMAND)
    await control.set_limits(AccountLimits(max_quantity=Decimal(9)), actor=OLGA, reason="a test")

    with pytest.raises(OrderDeniedError):
        await desk.placement.place(replace(COMMAND, client_order_id="intent-3"))


async def test_a_limit_that_was_lifted_a_moment_ago_denies_no_order(desk: Desk, control: TradingControl) -> None:
    await control.set_limits(AccountLimits(max_quantity=Decimal(9)), actor=OLGA, reason="a test")
    with pytest.raises(OrderDeniedError):
        await desk.placement.place(COMMAND)
    await control.clear_limits(None, actor=OLGA, reason="over")

    accepted = await desk.placement.place(COMMAND)

    assert not accepted.replayed


async def test_the_price_of_a_recorded_execution_is_the_one_that_orders_are_judged_by(
    desk: Desk, control: TradingControl
) -> None:
    await desk.store()
    await desk.report(filled("1", price="12.40"))
    await control.set_limits(AccountLimits(price_collar_percent=Decimal(1)), actor=OLGA, reason="a test")

    accepted = await desk.placement.place(COMMAND)
    with pytest.raises(OrderDeniedError) as denial:
        await desk.placement.place(replace(COMMAND, client_order_id="far", limit_price=Decimal("12.53")))

    assert not accepted.replayed
    assert "which is 12.4" in str(denial.value)


async def test_an_order_that_was_never_sent_waits_for_the_end_of_a_halt_and_pays_nothing(
    desk: Desk, control: TradingControl
) -> None:
    await desk.store()
    await control.halt(None, actor=OLGA, reason="fat finger")

    attempts = [await desk.attempt(after=SECOND) for _ in range(3)]
    held = desk.order()
    await control.resume(None, actor=OLGA, reason="mended")
    await desk.attempt()

    assert attempts == [0, 0, 0]
    assert held.status is OrderStatus.PENDING
    assert desk.order().status is OrderStatus.PLACED
    assert desk.row().attempts == 1


async def test_an_order_that_became_too_old_in_a_halt_is_not_sent_after_it(control: TradingControl, desk: Desk) -> None:
    desk.max_age = 60 * SECOND
    await desk.store()
    await control.halt("alice", actor=OLGA, reason="fat finger")
    desk.clock.advance(61 * SECOND)
    await control.resume("alice", actor=OLGA, reason="mended")

    await desk.attempt()

    assert desk.order().status is OrderStatus.FAILED
    assert "submit" not in desk.venue.asked


async def test_in_a_halt_what_may_have_been_sent_is_looked_up_and_never_sent_again(
    desk: Desk, control: TradingControl
) -> None:
    await desk.store()
    await desk.orders.claim([ORDER_ID], lease=SECOND)  # By a worker that crashed.
    await control.halt(None, actor=OLGA, reason="fat finger")

    for _ in range(4):
        await desk.attempt(after=60 * SECOND)
    asked = list(desk.venue.asked)
    await control.resume(None, actor=OLGA, reason="mended")
    await desk.attempt(after=60 * SECOND)

    assert set(asked) == {"find"}
    assert desk.telemetry.counted(Metric.SUBMISSION_ATTEMPTS, outcome="halted") >= 1
    assert desk.order().status is OrderStatus.PLACED


async def test_an_order_claimed_before_a_halt_that_waited_for_a_slot_is_not_sent(
    desk: Desk, control: TradingControl
) -> None:
    await desk.store()
    submission = replace(desk.submission, halt_cache=uncached(desk.orders.halts))
    claims = await desk.orders.claim([ORDER_ID], lease=30 * SECOND)
    await control.halt("alice", actor=OLGA, reason="fat finger")

    result = await submission._make_attempt(claims[0], ClaimAge())  # noqa: SLF001 - between claim and send

    assert result.outcome == "halted"
    assert not result.counts
    assert "submit" not in desk.venue.asked


async def test_an_order_that_waited_for_the_rate_limit_during_a_halt_is_not_sent(
    desk: Desk, control: TradingControl
) -> None:
    class HaltedMeanwhile(Unlimited):
        async def acquire(self, priority: RequestPriority) -> None:
            assert priority is RequestPriority.SUBMIT
            await control.halt("alice", actor=OLGA, reason="fat finger")

    await desk.store()

    submission = replace(desk.submission, limiter=HaltedMeanwhile(), halt_cache=uncached(desk.orders.halts))
    await submission.submit([ORDER_ID])

    assert desk.venue.asked == []
    assert desk.telemetry.counted(Metric.SUBMISSION_ATTEMPTS, outcome="halted") == 1
    assert desk.row().attempts == 0


async def test_a_halt_and_its_end_are_logged_once_with_operator_and_reason(desk: Desk, control: TradingControl) -> None:
    first = await control.halt(None, actor=OLGA, reason="fat finger")
    again = await control.halt(None, actor=OTTO, reason="the same")
    await control.measure()
    shown = desk.telemetry.gauges[Metric.TRADING_HALTED]
    await control.resume(None, actor=OTTO, reason="mended")
    await control.measure()

    assert again == first
    (begun,) = desk.telemetry.said("trading_halted")
    assert (begun["account"], begun["by"], begun["reason"]) == ("all accounts", "olga", "fat finger")
    (ended,) = desk.telemetry.said("trading_resumed")
    assert (ended["halt_id"], ended["by"]) == (str(first.id), "otto")
    assert (shown, desk.telemetry.gauges[Metric.TRADING_HALTED]) == (1, 0)
    with pytest.raises(NotHaltedError):
        await control.resume(None, actor=OTTO, reason="again")


async def test_a_halt_or_its_end_that_may_have_begun_unanswered_is_logged(desk: Desk, control: TradingControl) -> None:
    class Unanswered(MemoryTradingHalts):
        async def halt(self, halt: TradingHalt, *, action: NewAction) -> TradingHalt:
            await super().halt(halt, action=action)
            raise UnavailableError

        async def resume(self, halt_id: UUID, *, by: str, reason: str, action: NewAction) -> TradingHalt | None:
            await super().resume(halt_id, by=by, reason=reason, action=action)
            raise UnavailableError

    unanswered = replace(control, halts=Unanswered(desk.clock, desk.orders.actions, desk.orders.halts.halts))

    with pytest.raises(UnavailableError):
        await unanswered.halt(None, actor=OLGA, reason="fat finger")
    with pytest.raises(UnavailableError):
        await unanswered.resume(None, actor=OTTO, reason="mended")

    (halting,) = desk.telemetry.said("trading_halt_unconfirmed")
    assert (halting["account"], halting["by"], halting["reason"]) == ("all accounts", "olga", "fat finger")
    (resuming,) = desk.telemetry.said("trading_resume_unconfirmed")
    assert (resuming["account"], resuming["by"], resuming["reason"]) == ("all accounts", "otto", "mended")
    assert {"trading_halt_unconfirmed", "trading_resume_unconfirmed"} <= ALERTS.keys()


async def test_while_nobody_can_tell_whether_trading_is_halted_nothing_is_sent_and_no_attempt_counts(
    desk: Desk,
) -> None:
    class Unanswered(MemoryTradingHalts):
        async def halted_accounts(self) -> Collection[str | None]:
            raise UnavailableError

    await desk.store()
    unanswered = uncached(Unanswered(desk.clock, desk.orders.actions))

    await replace(desk.submission, halt_cache=unanswered).submit([ORDER_ID])
    waiting = (desk.row().attempts, desk.row().lease_until)
    await desk.attempt(after=60 * SECOND)

    assert waiting == (0, None)
    assert desk.telemetry.counted(Metric.SUBMISSION_ATTEMPTS, outcome="halt_unknown") == 1
    assert desk.venue.asked.count("submit") == 1
    assert desk.order().status is OrderStatus.PLACED


async def test_limits_that_limit_nothing_are_refused(desk: Desk, control: TradingControl) -> None:
    with pytest.raises(InvalidLimitsError, match="at least one"):
        await control.set_limits(AccountLimits(account_id="alice"), actor=OLGA, reason="a test")

    assert not desk.orders.book.stored


async def test_the_corrected_price_of_an_execution_replaces_the_wrong_one(desk: Desk) -> None:
    await desk.store()
    await desk.report(filled("1", price="1240", name="E1"))
    await desk.report(corrected("1", price="12.40", name="E1"))

    known = await desk.prices.last_price(ISIN)

    assert known is not None
    assert known.price == Decimal("12.40")


async def test_an_invalid_limit_is_refused_without_a_log_event(desk: Desk, control: TradingControl) -> None:
    with pytest.raises(InvalidLimitsError, match="max_open_orders"):
        await control.set_limits(AccountLimits(max_open_orders=0), actor=OLGA, reason="a test")

    assert not desk.orders.book.stored
    assert not desk.telemetry.said("limits_set")
