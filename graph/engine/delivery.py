"""One feed on its way to one subscriber."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Message = TypeVar("Message")


class Delivery(AsyncIterator[Message], Generic[Item, Message]):
    """A feed's items as messages; `show` gives None for an item that is no news to the client,
    and the same message of the same item to everybody.

    Closing it closes the feed, also when not one message was taken.

    A generator would not do: one that is closed before its first step never runs its `finally`.
    """

    def __init__(self, feed: AsyncGenerator[Sequence[Item]], show: Callable[[Item], Message | None]) -> None:
        self.show = show
        self._feed = feed
        self._at_hand: Iterator[Item] = iter(())

    async def open(self) -> Self:
        """Wait for the first item: an order that is not there is refused now, not in the middle of a stream."""
        with suppress(StopAsyncIteration):
            self._at_hand = iter(await anext(self._feed))
        return self

    async def __anext__(self) -> Message:
        while True:
            for item in self._at_hand:
                message = self.show(item)
                if message is not None:
                    return message
            await self.more()

    def at_hand(self) -> Iterator[Item]:
        """The items that the feed has given and nobody has taken yet, whether or not they are news. What is taken from
        it is gone."""
        return self._at_hand

    async def more(self) -> None:
        """Wait until something is at hand, once nothing is; raises StopAsyncIteration at the end of the feed."""
        self._at_hand = iter(await anext(self._feed))

    async def aclose(self) -> None:
        """Free what the feed holds."""
        await self._feed.aclose()
