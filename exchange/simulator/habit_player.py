"""Carries out the habits of the venue: what `HabitDice` drew for an execution, an order or a cancel."""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from functools import partial

from exchange.simulator.habits import HabitDice, Habits
from exchange.simulator.instruments import Instrument, unlisted_instrument
from exchange.simulator.orders import ZERO, Execution, Order, Status, restated
from exchange.simulator.scheduler import Scheduler
from exchange.simulator.trading import Trading

WITHHELD = ("dropped",)
RENAMED_SUFFIX = ".N"
RENAMED_AFTER_SECONDS = 10.0


class HabitPlayer:
    """Applies the venue's own actions to orders, by the current habits. Actions drawn before are dropped once all
    rates are 0.
    """

    def __init__(
        self,
        *,
        trading: Trading,
        scheduler: Scheduler,
        forget: Callable[[Order], None],
        habits: Callable[[], Habits],
        dice: Callable[[], HabitDice],
        renamed_after_seconds: float = RENAMED_AFTER_SECONDS,
    ) -> None:
        self._renamed_after_seconds = renamed_after_seconds
        self._trading = trading
        self._scheduler = scheduler
        self._forget = forget
        self._habits = habits
        self._dice = dice

    def note_execution(self, execution: Execution) -> None:
        """Draw what happens to a new execution."""
        if self._habits().are_off or execution.order.terms.is_external:
            return
        fate = self._dice().draw_execution(self._habits())
        execution.is_omitted = fate.is_omitted
        if fate.busts:
            self._amend_later(execution, fate.busts, fate.after_seconds)

    def note_order(self, order: Order) -> None:
        """Draw what happens to an order whose acceptance was plainly answered."""
        if self._habits().are_off:
            return
        fate = self._dice().draw_order(self._habits())
        if fate.is_restated:
            self._later(fate.after_seconds, partial(self._restate, order))
        if fate.is_renamed:
            # Before it is known under its symbol a client could not tell it for its own.
            self._later(self._renamed_after_seconds + fate.after_seconds, partial(self._rename, order))
        if fate.is_forgotten:
            self._later(fate.after_seconds, partial(self._forget_resting, order))

    def note_cancel(self, order: Order) -> None:
        """Fill a part of an order that is about to be canceled, if so drawn, without an event on the stream."""
        if self._habits().are_off or order.terms.is_external or order.status is Status.ACCEPTED:
            return
        quantity = _half(order.leaves_quantity)
        if self._dice().fills_before_cancel(self._habits()) and quantity:
            price = order.terms.limit_price or self._trading.market.price(order.terms.instrument)
            self._trading.execute(order, quantity=quantity, price=price, withheld=WITHHELD)

    def _later(self, after_seconds: float, action: Callable[[], None]) -> None:
        self._scheduler.after(after_seconds, lambda: None if self._habits().are_off else action())

    def _amend_later(self, execution: Execution, busts: tuple[bool, ...], after_seconds: float) -> None:
        self._later(after_seconds, partial(self._amend, execution, busts, after_seconds))

    def _amend(self, execution: Execution, busts: tuple[bool, ...], after_seconds: float) -> None:
        if execution.is_busted:
            return
        quantity = ZERO if busts[0] else _half(execution.quantity)
        price = execution.price + (execution.order.terms.instrument.tick_size if quantity else ZERO)
        self._trading.revise(execution, quantity=quantity, price=price)
        if len(busts) > 1:
            self._amend_later(execution, busts[1:], after_seconds)

    def _restate(self, order: Order) -> None:
        quantity = max(_half(order.terms.quantity), order.filled_quantity, Decimal(1))
        if order.is_open and order.status is not Status.ACCEPTED and quantity < order.terms.quantity:
            self._change(order, quantity=quantity)

    def _rename(self, order: Order) -> None:
        if self._rests(order):
            self._change(order, instrument=unlisted_instrument(order.terms.instrument.symbol + RENAMED_SUFFIX))

    def _change(self, order: Order, *, instrument: Instrument | None = None, quantity: Decimal | None = None) -> None:
        instrument = instrument or order.terms.instrument
        self._trading.restate(order, restated(order.terms, instrument=instrument, quantity=quantity, price=None))

    def _forget_resting(self, order: Order) -> None:
        if self._rests(order) and not order.filled_quantity:
            self._forget(order)

    def _rests(self, order: Order) -> bool:
        price = self._trading.market.price(order.terms.instrument)
        return order.is_open and order.status is not Status.ACCEPTED and not order.terms.is_marketable(price)


def _half(quantity: Decimal) -> Decimal:
    """Return half of it in whole shares."""
    return (quantity / 2).to_integral_value(rounding=ROUND_DOWN)
