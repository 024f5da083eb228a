"""The venue's own actions on orders, by seed: those of a real venue and its staff.

The settings are pure values; `HabitDice` draws from them, each execution, order and cancel the same number of draws for
any rates. `HabitPlayer` carries out the drawn actions.
"""

from dataclasses import dataclass, replace
from random import Random

from exchange.simulator.settings_changes import NumberRange, Rule

WITHIN_MAX_MS = 600_000
AMENDMENTS_MAX = 3
_RATE = NumberRange(0, 1)

HABIT_RULES: dict[str, Rule] = {
    "bust_rate": _RATE,
    "correct_rate": _RATE,
    "amend_again_rate": _RATE,
    "omit_rate": _RATE,
    "restate_rate": _RATE,
    "rename_rate": _RATE,
    "forget_rate": _RATE,
    "fill_before_cancel_rate": _RATE,
    "within_ms": NumberRange(0, WITHIN_MAX_MS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """The rates of the venue's own actions. External orders are not affected. Later actions follow within `within_ms`.

    Shares of the executions: `bust_rate`, `correct_rate` (to a smaller quantity at another price), and `omit_rate`
    (lists omit them unless requested by order). Of the corrections `amend_again_rate` are amended again, by their own
    id. Shares of the orders: `restate_rate` (to a smaller quantity), `rename_rate` (of open ones, to another symbol,
    some time later), and `forget_rate` (of open ones without fills). Only an order whose submission was answered
    normally. `fill_before_cancel_rate` is the share of cancels before which the order fills in part, with the event
    dropped by the stream.
    """

    bust_rate: float = 0
    correct_rate: float = 0
    amend_again_rate: float = 0
    omit_rate: float = 0
    restate_rate: float = 0
    rename_rate: float = 0
    forget_rate: float = 0
    fill_before_cancel_rate: float = 0
    within_ms: float = 2_000

    @property
    def are_off(self) -> bool:
        """Return whether all rates are 0."""
        return replace(self, within_ms=_NONE.within_ms) == _NONE


_NONE = Habits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFate:
    """The future of one execution. `busts` tells for each amendment, in their order, whether it is a bust."""

    busts: tuple[bool, ...]
    is_omitted: bool
    after_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFate:
    """What will happen to one order."""

    is_restated: bool
    is_renamed: bool
    is_forgotten: bool
    after_seconds: float


class HabitDice:
    """Draws the fates, of executions, orders and cancels each from a sequence of their own."""

    def __init__(self, seed: int) -> None:
        self._executions = Random(f"{seed}:habits of executions")  # noqa: S311  # Habits must repeat by seed.
        self._orders = Random(f"{seed}:habits of orders")  # noqa: S311  # Habits must repeat by seed.
        self._cancels = Random(f"{seed}:habits of cancels")  # noqa: S311  # Habits must repeat by seed.

    def draw_execution(self, habits: Habits) -> ExecutionFate:
        """Draw what happens to an execution."""
        draw = self._executions.random
        bust, correct, omit, after = draw(), draw(), draw(), draw()
        again = [(draw(), draw()) for _ in range(AMENDMENTS_MAX - 1)]
        busts: list[bool] = []
        if bust < habits.bust_rate:
            busts.append(True)
        elif correct < habits.correct_rate:
            busts.append(False)
            for is_next, is_bust in again:
                if busts[-1] or is_next >= habits.amend_again_rate:
                    break
                busts.append(is_bust < 1 / 2)
        return ExecutionFate(
            busts=tuple(busts), is_omitted=omit < habits.omit_rate, after_seconds=after * habits.within_ms / 1000
        )

    def draw_order(self, habits: Habits) -> OrderFate:
        """Draw what happens to an order."""
        draw = self._orders.random
        restate, rename, forget, after = draw(), draw(), draw(), draw()
        return OrderFate(
            is_restated=restate < habits.restate_rate,
            is_renamed=rename < habits.rename_rate,
            is_forgotten=forget < habits.forget_rate,
            after_seconds=after * habits.within_ms / 1000,
        )

    def fills_before_cancel(self, habits: Habits) -> bool:
        """Draw whether an order fills in part before its cancel."""
        return self._cancels.random() < habits.fill_before_cancel_rate
