"""One feed on its way to one subscriber."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Converted = TypeVar("Converted")


class Delivery(AsyncIterator[Converted], Generic[Item, Converted]):
    """The items of a feed, converted for the client. `convert` returns None for an item that is not sent, and the same
    object for the same item to every subscriber.

    Closing it closes the feed, also before the first message.

    Not a generator: one that is closed before its first step never runs its `finally`.
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
        """Return the unread items that the feed has returned. Reading an item removes it."""
        return self._available

    async def more(self) -> None:
        """Wait until items are available, once none is; raise StopAsyncIteration at the end of the feed."""
        self._available = iter(await anext(self._feed))

    async def aclose(self) -> None:
        """Free the feed's resources."""
        await self._feed.aclose()
