"""Rows omitted from the list of activities: late ones, those at a page border, or permanently hidden ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from exchange.simulator.orders import Execution
from exchange.simulator.settings_changes import NumberRange, SettingInvalidError

LATE_MAX_SECONDS = 86_400
IDS_MAX = 10_000
_LATE_SECONDS = NumberRange(0, LATE_MAX_SECONDS)
_KEYS = frozenset({"late_seconds", "omitted", "hidden"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Executions are listed `late_seconds` after they happened.

    The `omitted` ones are listed only by their order, the `hidden` ones never.
    """

    late_seconds: float = 0
    omitted: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()

    @classmethod
    def read(cls, fields: Mapping[str, object]) -> "Listing":
        """Return the listing of a control's body.

        Raises:
            SettingInvalidError: a key is unknown, or its value is invalid.
        """
        if not fields.keys() <= _KEYS:
            raise SettingInvalidError(f"the keys are {', '.join(sorted(_KEYS))}")
        return cls(
            late_seconds=_LATE_SECONDS.check("late_seconds", fields.get("late_seconds", 0)),
            omitted=_ids(fields, "omitted"),
            hidden=_ids(fields, "hidden"),
        )

    def as_json(self) -> Mapping[str, object]:
        """Return the listing as the control shows it."""
        return {"late_seconds": self.late_seconds, "omitted": sorted(self.omitted), "hidden": sorted(self.hidden)}

    def rule(self, *, now: datetime, is_by_order: bool) -> Callable[[Execution], bool] | None:
        """Return whether a list contains an execution; None when this list contains all."""
        if self == _ALL:
            return None if is_by_order else _is_in_every_list
        left_out = self.hidden if is_by_order else self.hidden | self.omitted
        newest = now - timedelta(seconds=self.late_seconds)
        return lambda one: one.at <= newest and one.id not in left_out and (is_by_order or not one.is_omitted)


_ALL = Listing()


def _is_in_every_list(execution: Execution) -> bool:
    return not execution.is_omitted


def _ids(fields: Mapping[str, object], key: str) -> frozenset[str]:
    given = fields.get(key, [])
    if not isinstance(given, list) or len(given) > IDS_MAX or not all(isinstance(each, str) for each in given):
        raise SettingInvalidError(f"{key} must be a list of at most {IDS_MAX} execution ids")
    return frozenset(given)
