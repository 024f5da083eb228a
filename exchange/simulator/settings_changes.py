"""Applies a JSON object of changes to a frozen settings object, or names the invalid key. Pure.

The controls use it for the faults and the matching: given keys are replaced, the rest is unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass


class SettingInvalidError(Exception):
    """A change was refused. The message names the key."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The numbers that a setting accepts; only whole numbers where `is_whole`."""

    minimum: float
    maximum: float
    is_whole: bool = False

    def check(self, key: str, value: object) -> float:
        allowed = int if self.is_whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise SettingInvalidError(f"{key} must be a {'whole ' if self.is_whole else ''}number")
        if not self.minimum <= value <= self.maximum:
            raise SettingInvalidError(f"{key} must be from {self.minimum:g} to {self.maximum:g}")
        return value


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting that is true or false."""

    def check(self, key: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise SettingInvalidError(f"{key} must be true or false")
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting with one of a few words."""

    words: tuple[str, ...]

    def check(self, key: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise SettingInvalidError(f"{key} must be one of {', '.join(self.words)}")
        return value


Rule = NumberRange | Flag | Choice


def checked_changes(
    changes: object, rules: Mapping[str, Rule], *, prefix: str = "", also_known: tuple[str, ...] = ()
) -> dict[str, object]:
    """Return the changes, each checked by the rule of its key. `also_known` are keys that the caller has removed
    already.

    Raises:
        SettingInvalidError: the changes are not an object, a key is unknown or a value out of range.
    """
    if not isinstance(changes, Mapping):
        raise SettingInvalidError(f"{prefix.rstrip('.') or 'the body'} must be a JSON object")
    checked: dict[str, object] = {}
    for key, value in changes.items():
        rule = rules.get(key)
        if rule is None:
            raise SettingInvalidError(f"{prefix}{key} is unknown; known are {', '.join(sorted([*rules, *also_known]))}")
        checked[key] = rule.check(f"{prefix}{key}", value)
    return checked
