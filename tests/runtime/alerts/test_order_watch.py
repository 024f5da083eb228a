"""The watch of waiting orders: each is logged once, and again after a while."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from db.waiting_orders import FIRST, Place, WaitingOrder
from runtime.alerts.order_watch import ORDERS_PER_CHECK_MAX, OrderWatch
from tests.support.fakes.clock import MIDNIGHT
from tests.support.fakes.telemetry import RecordingTelemetry

LIMIT = timedelta(seconds=120)
AGAIN_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class Waiting:
    """Orders that wait, and the seconds that have passed."""

    orders: list[WaitingOrder] = field(default_factory=list)
    seconds: float = 0.0

    def clock(self) -> float:
        return self.seconds

    async def waiting(
        self, *, in_doubt_for: timedelta, pending_for: timedelta, limit: int, after: Place = FIRST
    ) -> Sequence[WaitingOrder]:
        assert (in_doubt_for, pending_for) == (LIMIT, LIMIT)
        return [order for order in self.orders if order.place > after][:limit]


def _watch(waiting: Waiting, telemetry: RecordingTelemetry) -> OrderWatch:
    return OrderWatch(
        orders=waiting,
        telemetry=telemetry,
        clock=waiting.clock,
        interval=timedelta(seconds=15),
        in_doubt_for=LIMIT,
        pending_for=LIMIT,
        again_after=AGAIN_AFTER,
    )


def _order(number: int, *, is_in_doubt: bool, due_at: datetime = MIDNIGHT) -> WaitingOrder:
    return WaitingOrder(
        id=UUID(int=number),
        venue_client_order_id=f"test-{number}",
        is_in_doubt=is_in_doubt,
        age=timedelta(seconds=130),
        due_at=due_at,
    )


async def test_an_order_that_waits_too_long_is_logged_once_with_its_age_and_what_to_do() -> None:
    waiting, telemetry = Waiting([_order(1, is_in_doubt=True), _order(2, is_in_doubt=False)]), RecordingTelemetry()
    watch = _watch(waiting, telemetry)

    for _ in range(3):
        await watch.check()

    (in_doubt,) = telemetry.said("order_in_doubt_too_long")
    (pending,) = telemetry.said("order_pending_too_long")
    assert (in_doubt["order_id"], in_doubt["age_seconds"]) == (str(UUID(int=1)), 130)
    assert pending["order_id"] == str(UUID(int=2))
    assert in_doubt["next"]
    assert pending["next"]


async def test_an_order_that_still_waits_is_logged_again_after_a_while() -> None:
    waiting, telemetry = Waiting([_order(1, is_in_doubt=True)]), RecordingTelemetry()
    watch = _watch(waiting, telemetry)
    await watch.check()

    waiting.seconds = AGAIN_AFTER.total_seconds()
    await watch.check()

    assert len(telemetry.said("order_in_doubt_too_long")) == 2


async def test_an_order_that_was_pending_and_is_now_in_doubt_is_logged_as_that_too() -> None:
    waiting, telemetry = Waiting([_order(1, is_in_doubt=False)]), RecordingTelemetry()
    watch = _watch(waiting, telemetry)
    await watch.check()

    waiting.orders = [_order(1, is_in_doubt=True)]
    await watch.check()

    assert len(telemetry.said("order_pending_too_long")) == 1
    assert len(telemetry.said("order_in_doubt_too_long")) == 1


async def test_orders_that_wait_during_a_halt_hide_no_order_in_doubt() -> None:
    halted = [_order(number, is_in_doubt=False) for number in range(1, 2 * ORDERS_PER_CHECK_MAX + 1)]
    in_doubt = _order(9_999, is_in_doubt=True, due_at=MIDNIGHT + timedelta(hours=1))
    waiting, telemetry = Waiting([*halted, in_doubt]), RecordingTelemetry()
    watch = _watch(waiting, telemetry)

    for _ in range(4):
        await watch.check()

    assert len(telemetry.said("order_in_doubt_too_long")) == 1
    assert len(telemetry.said("order_pending_too_long")) == len(halted)
