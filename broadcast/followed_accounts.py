"""Which accounts a process follows, and so which shards it needs. No I/O."""

from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from broadcast.account_stream import AccountStream
from broadcast.settings import HubSettings
from broadcast.shards import shard_of
from broadcast.subscriber import Subscriber


class FollowedAccounts:
    """The account streams that have subscribers, by shard. `clock` returns monotonic seconds."""

    def __init__(self, settings: HubSettings, *, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._streams: dict[str, AccountStream] = {}
        self._by_shard: dict[int, set[str]] = {}
        self._emptied_at: dict[int, float] = {}
        self.subscribers = 0

    def get(self, account_id: str) -> AccountStream | None:
        """Return the stream of an account, or None without subscribers."""
        return self._streams.get(account_id)

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, account_id: str, *, order_id: UUID | None) -> tuple[AccountStream, Subscriber]:
        """Return a new subscriber of the account, or of one of its orders, and the stream that it listens to."""
        stream = self._streams.get(account_id)
        if stream is None:
            stream = AccountStream(account_id, early_max_changes=self._settings.early_max_changes)
            self._streams[account_id] = stream
            self._by_shard.setdefault(shard_of(account_id), set()).add(account_id)
        subscriber = Subscriber(buffer_max_changes=self._settings.subscriber_buffer_max_changes)
        stream.add(subscriber, order_id=order_id)
        self.subscribers += 1
        return stream, subscriber

    def remove(self, stream: AccountStream, subscriber: Subscriber, *, order_id: UUID | None) -> None:
        """Remove the subscriber, and with the last one of an account its stream."""
        stream.remove(subscriber, order_id=order_id)
        self.subscribers -= 1
        if stream.is_followed:
            return
        del self._streams[stream.account_id]
        shard = shard_of(stream.account_id)
        self._by_shard[shard].discard(stream.account_id)
        if not self._by_shard[shard]:
            del self._by_shard[shard]
            self._emptied_at[shard] = self._clock()

    def is_current(self, stream: AccountStream) -> bool:
        """Return whether this stream is still followed."""
        return self._streams.get(stream.account_id) is stream

    def wanted_shards(self) -> frozenset[int]:
        """Return the shards with accounts, and those that lost their last one recently: it may return."""
        self._emptied_at = {
            shard: emptied_at
            for shard, emptied_at in self._emptied_at.items()
            if shard not in self._by_shard and self._clock() - emptied_at < self._settings.linger_seconds
        }
        return frozenset(self._by_shard.keys() | self._emptied_at.keys())

    def streams(self, *, shards: Collection[int] | None = None) -> Sequence[AccountStream]:
        """Return the streams of some shards, or all."""
        if shards is None:
            return list(self._streams.values())
        return [self._streams[account_id] for shard in shards for account_id in self._by_shard.get(shard, ())]
