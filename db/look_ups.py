"""Look-ups of single values by key: concurrent calls share one query, and what was found can be cached."""

import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.services.batcher import Batcher

BATCH_MAX_KEYS = 256
QUEUE_MAX_CALLS = 4_096

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

ReadMany = Callable[[Collection[Key]], Awaitable[Mapping[Key, Value]]]
"""A query of many keys, which returns what exists."""


def batched_look_ups(read: ReadMany[Key, Value], *, missing: Value) -> Batcher[Key, Value]:
    """Return a batcher of single look-ups, whose result is `missing` where nothing exists."""

    async def look_up(keys: Sequence[Key]) -> Sequence[Value]:
        found = await read(set(keys))
        return [found.get(key, missing) for key in keys]

    return Batcher(look_up, batch_max_items=BATCH_MAX_KEYS, queue_max_items=QUEUE_MAX_CALLS)


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    value: Value
    until: float


class LookUpCache(Generic[Key, Value]):
    """Values by key, cached for `cache_seconds` by the monotonic `clock`; beyond `entries_max` all are dropped.

    That nothing exists (`missing`) is cached too, unless `caches_missing` is False.
    """

    def __init__(
        self,
        read: ReadMany[Key, Value],
        *,
        missing: Value,
        caches_missing: bool = True,
        entries_max: int,
        cache_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._missing = missing
        self._caches_missing = caches_missing
        self._entries_max = entries_max
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._entries: dict[Key, _Entry[Value]] = {}
        # Concurrent calls share one query, or each expiry of a cached entry would cause many.
        self._look_ups = batched_look_ups(self.read, missing=missing)

    async def get(self, key: Key) -> Value:
        """Return the value, read if it is not cached."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and self._clock() < entry.until else await self.get_fresh(key)

    async def get_fresh(self, key: Key) -> Value:
        """Return the value, read now."""
        return await self._look_ups.submit(key)

    async def get_many(self, keys: Collection[Key]) -> Mapping[Key, Value]:
        """Return the values of those keys that exist, by one query for what is not cached."""
        now = self._clock()
        known = {
            key: entry.value for key in keys if (entry := self._entries.get(key)) is not None and now < entry.until
        }
        unknown = [key for key in keys if key not in known]
        return {**known, **(await self.read(unknown) if unknown else {})}

    async def read(self, keys: Collection[Key]) -> Mapping[Key, Value]:
        """Read the values and cache them."""
        found = await self._read(keys)
        values = {key: found.get(key, self._missing) for key in keys} if self._caches_missing else found
        if len(self._entries) + len(values) > self._entries_max:
            self._entries.clear()
        until = self._clock() + self._cache_seconds
        for key, value in values.items():
            self._entries[key] = _Entry(value, until)
        return values

    def remove(self, key: Key) -> None:
        """Drop the key's value, which has changed."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Drop all values."""
        self._entries.clear()
