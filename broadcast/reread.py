"""The reads that bring the account streams of a process up to date: one task per stream at a time."""

import asyncio
from contextvars import Context

from broadcast.account_stream import AccountStream
from broadcast.followed_accounts import FollowedAccounts
from broadcast.retrying_change_log import RetryingChangeLog
from broadcast.settings import HubSettings
from broadcast.subscriber import Cause
from domain.model.errors import HistoryGoneError
from domain.ports.telemetry import Metric, Telemetry


class Rereads:
    """Reads from the change log what hints missed, for all subscribers of an account together."""

    def __init__(
        self,
        log: RetryingChangeLog,
        *,
        followed: FollowedAccounts,
        settings: HubSettings,
        telemetry: Telemetry,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._log = log
        self._followed = followed
        self._settings = settings
        self._telemetry = telemetry
        self._tasks = tasks
        self._running: dict[AccountStream, asyncio.Task[None]] = {}

    def start(self, stream: AccountStream, cause: Cause) -> None:
        """Start to re-read if the stream is behind, followed, and not being re-read already."""
        if stream.is_behind and stream not in self._running and self._followed.is_current(stream):
            # An empty context: the reads belong to no single subscriber's request.
            task = self._tasks.create_task(
                self._reread(stream, cause), name=f"reread {stream.account_id}", context=Context()
            )
            self._running[stream] = task

    def cancel(self, stream: AccountStream) -> None:
        """Cancel the stream's reads: it has no subscribers."""
        task = self._running.pop(stream, None)
        if task is not None:
            task.cancel()

    def cancel_all(self) -> None:
        """Cancel all reads."""
        for task in list(self._running.values()):
            task.cancel()

    async def _reread(self, stream: AccountStream, cause: Cause) -> None:
        try:
            if cause is not Cause.RECONNECT:
                # The missing change may be on its way, by a slower publisher.
                await asyncio.sleep(self._settings.settle_seconds)
            if stream.is_behind:
                self._telemetry.count(Metric.REREADS, cause=cause)
            while stream.is_behind:
                if not await self._read_page(stream):
                    # Until then no announcement causes a read, regardless of their number; the next changes are passed
                    # on.
                    await asyncio.sleep(self._settings.unproved_pause_seconds)
        except Exception as error:  # noqa: BLE001 - an unreadable change of one account must not end the others' streams
            self._telemetry.error(
                "changes_unreadable",
                account_id=stream.account_id,
                error=repr(error),
                next="its subscribers wait; read again when more is announced, and with each comparison",
            )
            await asyncio.sleep(self._settings.unproved_pause_seconds)
        finally:
            # Here and not in a callback: a change right after the last check must start a new task.
            self._running.pop(stream, None)

    async def _read_page(self, stream: AccountStream) -> bool:
        """Read the next changes; return False when the database has none of the announced ones."""
        position, newest = stream.position or 0, stream.newest
        try:
            page = await self._log.account_page(stream.account_id, after=position)
        except HistoryGoneError:
            stream.jump(await self._log.position(stream.account_id))
            return True
        stream.receive(page, newest=0)
        if stream.position != position:
            return True
        self._telemetry.count(Metric.POSITIONS_AHEAD, cause="announced")
        self._telemetry.warning(
            "position_ahead",
            account_id=stream.account_id,
            announced=newest,
            stored=position,
            next="not believed: a change is stored before it is announced",
        )
        if stream.newest == newest:
            # What was announced during the read may be stored by now: it is read after the pause.
            stream.forget_unproved()
        return False
