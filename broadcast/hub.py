"""The hub of a process: one connection to Redis, fanned out to every subscriber; changes without a hint are read from
the database.

Three things show that a hint was missed: a gap in an account's sequence, a new connection (or a newly confirmed shard),
and the comparison of all followed accounts' positions with the database. The last one covers "committed, then crashed
before publishing", which nothing else can detect. A catch-up is one shared read for the process and account. The
comparison also shows that the database was restored to an earlier moment: its position is then lower than the delivered
one.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from broadcast.account_stream import AccountStream
from broadcast.envelope import Message, MessageSigner
from broadcast.followed_accounts import FollowedAccounts
from broadcast.link import LINK_ERRORS, Beat, RedisLink, Subscribed, open_link
from broadcast.message_reader import MessageReader
from broadcast.reread import Rereads
from broadcast.retrying_change_log import RetryingChangeLog
from broadcast.settings import HubSettings
from broadcast.shards import shard_of
from broadcast.subscriber import Cause, Subscriber
from domain.model.errors import UnavailableError
from domain.ports.readers import ChangeLog
from domain.ports.telemetry import Metric, Telemetry
from domain.services.task_cancellation import run_cancellable, was_cancelled

MESSAGES_IN_A_ROW_MAX = 64
"""Messages that are received before the event loop runs other tasks."""


@asynccontextmanager
async def open_hub(
    redis_url: str, *, log: ChangeLog, signer: MessageSigner, settings: HubSettings, telemetry: Telemetry
) -> AsyncIterator["ChangeHub"]:
    """Open the hub with its tasks. It opens also while Redis is down, and then works only from the database."""
    async with asyncio.TaskGroup() as tasks:
        hub = ChangeHub(redis_url, log=log, signer=signer, settings=settings, telemetry=telemetry, tasks=tasks)
        running = [
            tasks.create_task(hub.keep_linked(), name="hub link"),
            tasks.create_task(hub.compare_periodically(), name="hub comparison"),
        ]
        try:
            yield hub
        finally:
            for task in running:
                task.cancel()
            hub.stop_catching_up()


class ChangeHub:
    """Passes the changes of followed accounts to their subscribers, in order and once."""

    def __init__(
        self,
        redis_url: str,
        *,
        log: ChangeLog,
        signer: MessageSigner,
        settings: HubSettings,
        telemetry: Telemetry,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._redis_url = redis_url
        self._log = log
        self._settings = settings
        self._telemetry = telemetry
        self.retrying_log = RetryingChangeLog(log, settings=settings, telemetry=telemetry)
        self._clock = asyncio.get_running_loop().time
        self._followed = FollowedAccounts(settings, clock=self._clock)
        self._reader = MessageReader(signer, followed=self._followed, telemetry=telemetry)
        self._rereads = Rereads(
            self.retrying_log, followed=self._followed, settings=settings, telemetry=telemetry, tasks=tasks
        )
        self._confirmed_shards: set[int] = set()
        self._compare_soon = asyncio.Event()
        self._asked_shards: frozenset[int] = frozenset()
        self._shards_changed = asyncio.Event()
        self.is_linked = False
        self.link_error: Exception | None = None
        """Why there is no link; None while there is one, and before the first."""

    @property
    def followed_accounts(self) -> int:
        """How many accounts have a subscriber."""
        return len(self._followed)

    @contextmanager
    def follow(self, account_id: str, *, order_id: UUID | None = None) -> Iterator[Subscriber]:
        """Subscribe to the account, or to one of its orders, until the block ends.

        It buffers from the start. Then read the position, and pass it to `start`.
        """
        stream, subscriber = self._followed.add(account_id, order_id=order_id)
        self._note_subscribers()
        if shard_of(account_id) not in self._asked_shards:
            self._shards_changed.set()
        try:
            yield subscriber
        finally:
            self._followed.remove(stream, subscriber, order_id=order_id)
            if not stream.is_followed:
                self._rereads.cancel(stream)
            self._note_subscribers()

    def start(self, account_id: str, position: int) -> None:
        """Start a followed account at this position, which was read after its subscriber was registered."""
        stream = self._followed.get(account_id)
        assert stream is not None, "start is called inside follow"  # noqa: S101 - only a bug could break it
        stream.start(position)
        self._rereads.start(stream, Cause.GAP)

    def receive(self, message: Message) -> None:
        """Process one published message: new, late, repeated, early, forged, or for an account without subscribers."""
        received = self._reader.read(message)
        if received is not None:
            received.stream.receive(received.changes, newest=received.newest)
            self._rereads.start(received.stream, Cause.GAP)

    async def keep_linked(self) -> None:
        """Keep a link to Redis; after a loss wait longer and longer, until a link has proved that it delivers."""
        delay = self._settings.reconnect_delay_seconds
        while True:
            error = await run_cancellable(self._follow_link())
            delay = self._settings.reconnect_delay_seconds if self.is_linked else delay * 2
            delay = min(delay, self._settings.reconnect_delay_max_seconds)
            self._note_loss(error, delay_seconds=delay)
            await asyncio.sleep(delay)

    async def _follow_link(self) -> Exception:
        """Follow one link to Redis until it is lost; return the first error."""
        lost: Sequence[Exception] = ()
        try:
            async with open_link(self._redis_url, self._settings) as link, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive_messages(link))
                tasks.create_task(self._keep(link))
        except* LINK_ERRORS as errors:
            lost = errors.exceptions
        return lost[0]

    async def compare_periodically(self) -> None:
        """Compare positions with the database, at the settings' pace and whenever a shard's subscription is new."""
        compared_all_at = self._clock()
        while True:
            is_due = await self._wait_for_comparison(since=compared_all_at)
            shards, self._confirmed_shards = self._confirmed_shards, set()
            try:
                await self._compare(self._followed.streams(shards=shards), Cause.RECONNECT)
                if is_due:
                    compared_all_at = self._clock()
                    await self.compare_all()
            except UnavailableError as error:
                self._telemetry.warning("comparison_failed", error=str(error), next="compared again until it works")
                self._confirmed_shards |= shards
                await asyncio.sleep(self._settings.comparison_without_link_seconds)
                self._compare_soon.set()

    async def compare_all(self) -> None:
        """Compare the positions of all followed accounts with the database. Raises UnavailableError."""
        await self._compare(self._followed.streams(), Cause.COMPARISON)

    def stop_catching_up(self) -> None:
        """Cancel the running reads."""
        self._rereads.cancel_all()

    async def _receive_messages(self, link: RedisLink) -> None:
        in_a_row = 0
        while True:
            event = await link.read()
            # An answer of the server proves nothing while subscriptions are being requested: they may be forbidden.
            if not (self.is_linked or (isinstance(event, Beat) and self._asked_shards)):
                self.is_linked, self.link_error = True, None
                self._telemetry.info("hub_linked")
            if isinstance(event, Message):
                self.receive(event)
            elif isinstance(event, Subscribed):
                self._confirmed_shards.add(event.shard)
                self._compare_soon.set()
            in_a_row += 1
            if in_a_row >= MESSAGES_IN_A_ROW_MAX:
                in_a_row = 0
                await asyncio.sleep(0)

    async def _keep(self, link: RedisLink) -> None:
        """Follow the wanted shards and check the connection, once a ping interval and whenever shards change."""
        while not was_cancelled():
            self._shards_changed.clear()
            self._asked_shards = self._followed.wanted_shards()  # First: answers are judged by it.
            await link.check()
            await link.listen_to(self._asked_shards)
            await _set_or_time_out(self._shards_changed, seconds=self._settings.ping_seconds)

    async def _compare(self, streams: Sequence[AccountStream], cause: Cause) -> None:
        size = self._settings.comparison_max_accounts
        for start in range(0, len(streams), size):
            by_account = {stream.account_id: stream for stream in streams[start : start + size]}
            # As they are before the read: a change that is handed out meanwhile may be newer than what it shows.
            delivered = {account_id: stream.position or 0 for account_id, stream in by_account.items()}
            for account_id, newest in (await self._log.positions(by_account.keys())).items():
                stream = by_account[account_id]
                if newest < delivered[account_id]:
                    self._move_back(stream, newest)
                stream.receive((), newest=newest)
                self._rereads.start(stream, cause)

    def _move_back(self, stream: AccountStream, position: int) -> None:
        """Restart the stream: a change is committed before it is delivered, so the database has lost some since."""
        self._telemetry.count(Metric.POSITIONS_AHEAD, cause="delivered")
        self._telemetry.warning(
            "history_moved_back",
            account_id=stream.account_id,
            delivered=stream.position,
            stored=position,
            next="subscribers are reset and continue after the stored position",
        )
        stream.move_back(position)

    async def _wait_for_comparison(self, *, since: float) -> bool:
        """Wait until a comparison of some shards or of all is due; True when it is all."""
        settings = self._settings
        pace = settings.comparison_seconds if self.is_linked else settings.comparison_without_link_seconds
        await _set_or_time_out(self._compare_soon, seconds=max(since + pace - self._clock(), 0))
        self._compare_soon.clear()
        return self._clock() >= since + pace

    def _note_loss(self, error: Exception, *, delay_seconds: float) -> None:
        if self.is_linked or self.link_error is None:
            self._telemetry.warning(
                "hub_link_lost",
                error=f"{type(error).__name__}: {error}",
                delay_seconds=delay_seconds,
                next="subscribers are served from the database until the link is back",
            )
        self.is_linked, self.link_error = False, error
        self._compare_soon.set()

    def _note_subscribers(self) -> None:
        self._telemetry.set(Metric.SUBSCRIBERS, self._followed.subscribers)


async def _set_or_time_out(event: asyncio.Event, *, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
