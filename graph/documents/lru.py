"""What was worked out for texts lately, bounded by number and by length, the least recently used dropped first."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Value]):
    value: Value
    characters: int


class LruTexts(Generic[Value]):
    """A cache of values by a key, each with the weight of its text."""

    def __init__(self, *, max_texts: int, max_characters: int) -> None:
        self._max_texts = max_texts
        self._max_characters = max_characters
        self._kept: OrderedDict[str, _Kept[Value]] = OrderedDict()
        self._characters = 0

    def find(self, key: str) -> Value | None:
        """Return the value and mark it as most recently used; None when it is not cached."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept.value

    def keep(self, key: str, value: Value, *, characters: int) -> None:
        """Cache the value; the least recently used ones above the bound are dropped, or the value itself when it is
        too long.
        """
        self._drop(key)
        self._kept[key] = _Kept(value, characters)
        self._characters += characters
        while len(self._kept) > self._max_texts or self._characters > self._max_characters:
            self._drop(next(iter(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)

    def _drop(self, key: str) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self._characters -= dropped.characters
