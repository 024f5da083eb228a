"""One feed on its way to one subscriber."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
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

    def __init__(self, feed: AsyncGenerator[Item], show: Callable[[Item], Message | None]) -> None:
        self.show = show
        self._feed = feed
        self._waiting: list[Item] = []

    async def open(self) -> Self:
        """Wait for the first item: an order that is not there is refused now, not in the middle of a stream."""
        with suppress(StopAsyncIteration):
            self._waiting.append(await anext(self._feed))
        return self

    async def __anext__(self) -> Message:
        message = None
        while message is None:
            message = self.show(await self.take())
        return message

    async def take(self) -> Item:
        """The next item as the feed gave it, whether or not it is news."""
        return self._waiting.pop() if self._waiting else await anext(self._feed)

    async def aclose(self) -> None:
        """Free what the feed holds."""
        await self._feed.aclose()
