"""How orders are executed: the mode and its timing, the random walk of prices, and the slices of an order. Pure.

A market order executes at the instrument's price. The price starts at the reference price and moves by a few ticks at
random, never further than `WALK_RANGE` from it; so a limit beyond that range stays open until a control fills it.
"""

from dataclasses import asdict, dataclass, replace
from decimal import ROUND_DOWN, Decimal
from heapq import heappop, heappush
from random import Random
from typing import Any, Literal

from exchange.simulator.instruments import Instrument
from exchange.simulator.orders import Order, Side
from exchange.simulator.settings_changes import Choice, NumberRange, Rule, checked_changes

WALK_RANGE = Decimal("0.01")
WALK_STEP_MAX_TICKS = 3

_RULES: dict[str, Rule] = {
    "mode": Choice(("auto", "manual")),
    "fill_delay_ms": NumberRange(0, 600_000),
    "fills_per_order": NumberRange(1, 1000, is_whole=True),
    "cancel_delay_ms": NumberRange(0, 600_000),
    "cancels": Choice(("auto", "manual")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """`auto` executes marketable orders, `manual` only by a control.

    `fill_delay_ms` passes before each of the `fills_per_order` executions. With a `cancel_delay_ms` a cancel request
    stays pending for that time, in which it can still fill. With `cancels` `manual` it stays pending until a control
    decides, as outside the trading day.
    """

    mode: Literal["auto", "manual"] = "auto"
    fill_delay_ms: float = 800
    fills_per_order: int = 3
    cancel_delay_ms: float = 0
    cancels: Literal["auto", "manual"] = "auto"

    def changed(self, changes: object) -> "Matching":
        """Return these settings with the given keys replaced.

        Raises:
            SettingInvalidError: a key is unknown or a value out of range.
        """
        own_changes: dict[str, Any] = checked_changes(changes, _RULES)
        return replace(self, **own_changes)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def next_slice(order: Order) -> Decimal:
    """Return the quantity of the order's next planned execution: equal lots, the last one takes the remainder."""
    leaves = order.leaves_quantity
    if order.fills_left <= 1:
        return leaves
    lot = order.terms.instrument.lot_size
    lots = (leaves / order.fills_left / lot).to_integral_value(rounding=ROUND_DOWN)
    return min(max(lots, Decimal(1)) * lot, leaves)


class Market:
    """The prices, and the limit orders that wait for them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._prices: dict[str, Decimal] = {}
        # One heap for each symbol and side, the order that a price reaches first on top; ended orders fall out there.
        self._resting: dict[tuple[str, Side], list[tuple[Decimal, str, Order]]] = {}

    def price(self, instrument: Instrument) -> Decimal:
        return self._prices.get(instrument.symbol, instrument.reference_price)

    def walk(self, instrument: Instrument) -> Decimal:
        """Move the instrument's price by a few ticks and return it."""
        ticks = int(self._random.random() * (2 * WALK_STEP_MAX_TICKS + 1)) - WALK_STEP_MAX_TICKS
        price = self.price(instrument) + ticks * instrument.tick_size
        if abs(price - instrument.reference_price) <= instrument.reference_price * WALK_RANGE:
            self._prices[instrument.symbol] = price
        return self.price(instrument)

    def rest(self, order: Order) -> None:
        """Add an open limit order that waits for its price."""
        limit = order.terms.limit_price
        assert limit is not None, "a market order never waits"  # noqa: S101  # Only a bug could break it.
        side = order.terms.side
        heap = self._resting.setdefault((order.terms.instrument.symbol, side), [])
        heappush(heap, (-limit if side is Side.BUY else limit, order.id, order))

    def walk_resting(self) -> list[Order]:
        """Move the price of every instrument with open orders; return the orders whose limit it reached."""
        waiting = {heap[0][2].terms.instrument for heap in self._resting.values() if heap}
        reached: list[Order] = []
        for instrument in sorted(waiting, key=lambda each: each.symbol):
            self.walk(instrument)
            reached.extend(self.take_reached(instrument))
        return reached

    def take_reached(self, instrument: Instrument) -> list[Order]:
        """Remove and return the open orders whose limit the price has reached, and drop ended ones."""
        price = self.price(instrument)
        reached: list[Order] = []
        for side in Side:
            heap = self._resting.get((instrument.symbol, side))
            while heap and (not heap[0][2].is_open or heap[0][2].terms.is_marketable(price)):
                order = heappop(heap)[2]
                if order.is_open:
                    reached.append(order)
        return reached
