"""Faults of the simulated exchange, by seed.

The settings are pure values; `FaultDice` draws from them. Each submission and each event takes the same number of draws
for any rates, so changing one rate does not change the others' results, and setting a seed again repeats them.

For submissions: `refuse` is first, then `error` for the rest, then `ambiguous`; `reject` is drawn separately and
applies to every accepted order. So a `refuse_rate` of 0.1 refuses exactly one submission in ten.
"""

from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from random import Random
from typing import Any

from exchange.simulator.habits import HABIT_RULES, HabitDice, Habits
from exchange.simulator.settings_changes import Flag, NumberRange, Rule, checked_changes

_DELAY_MAX_MS = 600_000
_RATE = NumberRange(0, 1)
_MILLISECONDS = NumberRange(0, _DELAY_MAX_MS)

# The names are the keys of the controls.
_STREAM_RULES: dict[str, Rule] = {
    "drop_rate": _RATE,
    "duplicate_rate": _RATE,
    "reorder_rate": _RATE,
    "null_rate": _RATE,
    "no_timestamp_rate": _RATE,
    "delay_ms": _MILLISECONDS,
    "mute": Flag(),
}
_RULES: dict[str, Rule] = {
    "seed": NumberRange(0, 2**63 - 1, is_whole=True),
    "latency_ms": _MILLISECONDS,
    "read_latency_ms": _MILLISECONDS,
    "refuse_rate": _RATE,
    "error_rate": _RATE,
    "ambiguous_rate": _RATE,
    "ambiguous_delay_ms": _MILLISECONDS,
    "reject_rate": _RATE,
    "hide_seconds": NumberRange(0, _DELAY_MAX_MS / 1000),
    "requests_per_minute": NumberRange(0, 1_000_000, is_whole=True),
    "down": Flag(),
}
_GROUPS = ("stream", "habits")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFaults:
    """Faults of the execution stream. Rates are shares of the events; `null_rate` adds frames with `"data": null`,
    `no_timestamp_rate` leaves out when the event happened."""

    drop_rate: float = 0
    duplicate_rate: float = 0
    reorder_rate: float = 0
    null_rate: float = 0
    no_timestamp_rate: float = 0
    delay_ms: float = 0
    mute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """All faults. The defaults: each submission takes 500 ms, and one in ten is refused without effect.

    `latency_ms` applies to submissions, `read_latency_ms` to every other request under /v2. `requests_per_minute` 0
    means no limit.
    """

    seed: int = 1
    latency_ms: float = 500
    read_latency_ms: float = 0
    refuse_rate: float = 0.1
    error_rate: float = 0
    ambiguous_rate: float = 0
    ambiguous_delay_ms: float = 15_000
    reject_rate: float = 0
    hide_seconds: float = 0
    requests_per_minute: int = 0
    stream: StreamFaults = field(default_factory=StreamFaults)
    habits: Habits = field(default_factory=Habits)
    down: bool = False

    def changed(self, changes: object) -> "Faults":
        """Return these faults with the given keys replaced.

        Raises:
            SettingInvalidError: a key is unknown or a value out of range.
        """
        stream, habits = self.stream, self.habits
        if isinstance(changes, dict):
            stream_changes: dict[str, Any] = checked_changes(changes.get("stream", {}), _STREAM_RULES, prefix="stream.")
            habit_changes: dict[str, Any] = checked_changes(changes.get("habits", {}), HABIT_RULES, prefix="habits.")
            stream, habits = replace(stream, **stream_changes), replace(habits, **habit_changes)
            changes = {key: value for key, value in changes.items() if key not in _GROUPS}
        own_changes: dict[str, Any] = checked_changes(changes, _RULES, also_known=_GROUPS)
        return replace(self, stream=stream, habits=habits, **own_changes)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


NO_FAULTS = Faults(latency_ms=0, refuse_rate=0)


class PlacementAnswer(Enum):
    """How a placement is answered. The value is how the journal calls it."""

    GIVEN = "given"
    DROPPED = "dropped"
    ERROR_500 = "500"
    ERROR_504 = "504"
    LATE = "late"
    REPLACED = "replaced"


_AMBIGUOUS_ANSWERS = (
    PlacementAnswer.DROPPED,
    PlacementAnswer.ERROR_500,
    PlacementAnswer.ERROR_504,
    PlacementAnswer.LATE,
)
_ERROR_STATUSES = (500, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementFate:
    """What will happen to one placement. With `error_status` or `is_refused` it is never accepted."""

    is_refused: bool
    error_status: int | None
    answer: PlacementAnswer
    is_rejected_later: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFate:
    """What will happen to one event on its way to the listener."""

    is_dropped: bool
    is_duplicated: bool
    is_held_back: bool
    follows_null: bool
    lacks_timestamp: bool


UNDISTURBED = DeliveryFate(
    is_dropped=False, is_duplicated=False, is_held_back=False, follows_null=False, lacks_timestamp=False
)


class FaultDice:
    """Draws the fates, placements and events each from a sequence of their own; `habits` draws for the habits."""

    def __init__(self, seed: int) -> None:
        self._placements = Random(f"{seed}:placements")  # noqa: S311  # Faults must repeat by seed.
        self.habits = HabitDice(seed)
        self._deliveries = Random(f"{seed}:deliveries")  # noqa: S311  # Faults must repeat by seed.

    def draw_placement(self, faults: Faults) -> PlacementFate:
        draw = self._placements.random
        refuse, error, ambiguous, reject, kind = draw(), draw(), draw(), draw(), draw()
        is_refused = refuse < faults.refuse_rate
        is_error = not is_refused and error < faults.error_rate
        is_ambiguous = not is_refused and not is_error and ambiguous < faults.ambiguous_rate
        return PlacementFate(
            is_refused=is_refused,
            error_status=_ERROR_STATUSES[int(kind * len(_ERROR_STATUSES))] if is_error else None,
            answer=_AMBIGUOUS_ANSWERS[int(kind * len(_AMBIGUOUS_ANSWERS))] if is_ambiguous else PlacementAnswer.GIVEN,
            is_rejected_later=reject < faults.reject_rate,
        )

    def draw_delivery(self, faults: StreamFaults) -> DeliveryFate:
        draw = self._deliveries.random
        drop, duplicate, reorder, null, no_timestamp = draw(), draw(), draw(), draw(), draw()
        return DeliveryFate(
            is_dropped=drop < faults.drop_rate,
            is_duplicated=duplicate < faults.duplicate_rate,
            is_held_back=reorder < faults.reorder_rate,
            follows_null=null < faults.null_rate,
            lacks_timestamp=no_timestamp < faults.no_timestamp_rate,
        )
