"""One feed on its way to one subscriber."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Converted = TypeVar("Converted")


class Delivery(AsyncIterator[Converted], Generic[Item, Converted]):
    """The items of a feed, converted for the client. `convert` returns None for an item that is not sent, and the same
    object for the same item to every subscriber.

    Closing it closes the feed, also when not one message was taken.

    A generator would not do: one that is closed before its first step never runs its `finally`.
    """

    def __init__(self, feed: AsyncGenerator[Sequence[Item]], convert: Callable[[Item], Converted | None]) -> None:
        self.convert = convert
        self._feed = feed
        self._available: Iterator[Item] = iter(())

    async def open(self) -> Self:
        """Wait for the first item: an unknown order is refused now, not in the middle of a stream."""
        with suppress(StopAsyncIteration):
            self._available = iter(await anext(self._feed))
        return self

    async def __anext__(self) -> Converted:
        while True:
            for item in self._available:
                converted = self.convert(item)
                if converted is not None:
                    return converted
            await self.more()

    def available(self) -> Iterator[Item]:
        """Return the items that the feed has returned and nobody has taken yet. Taking an item removes it."""
        return self._available

    async def more(self) -> None:
        """Wait until items are available, once none is; raise StopAsyncIteration at the end of the feed."""
        self._available = iter(await anext(self._feed))

    async def aclose(self) -> None:
        """Free what the feed holds."""
        await self._feed.aclose()
