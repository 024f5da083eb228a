"""The change log for reading what was missed: page by page, retried, a bounded number of reads at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from broadcast.settings import HubSettings
from domain.model.changes import RecordedChange
from domain.model.errors import UnavailableError
from domain.ports.readers import AccountPosition, ChangeLog
from domain.ports.telemetry import Telemetry

_Read = TypeVar("_Read")


class RetryingChangeLog:
    """Reads until the database answers. Waiting loses nothing, since missed changes stay stored.

    The pages raise HistoryGoneError as in the port ChangeLog.
    """

    def __init__(self, log: ChangeLog, *, settings: HubSettings, telemetry: Telemetry) -> None:
        self._log = log
        self._settings = settings
        self._telemetry = telemetry
        self._slots = asyncio.Semaphore(settings.reads_at_once)

    async def account_page(self, account_id: str, *, after: int) -> Sequence[RecordedChange]:
        """Return the account's next changes; a page that is not full is the last one."""
        limit = self._settings.page_max_changes
        return await self._retry(lambda: self._log.changes_after(account_id, after, limit=limit))

    async def order_page(self, order_id: UUID, *, after_version: int) -> Sequence[RecordedChange]:
        """Return the order's next changes; a page that is not full is the last one."""
        limit = self._settings.page_max_changes
        return await self._retry(lambda: self._log.order_changes_after(order_id, after_version, limit=limit))

    async def position(self, account_id: str) -> int:
        """Return the sequence of the account's newest change."""
        return await self._retry(lambda: self._log.position(account_id))

    async def order_position(self, order_id: UUID, *, account_id: str) -> AccountPosition | None:
        """Return the order and its account's sequence."""
        return await self._retry(lambda: self._log.order_position(order_id, account_id=account_id))

    def is_last_page(self, page: Sequence[RecordedChange]) -> bool:
        """Return whether no change followed this page when it was read."""
        return len(page) < self._settings.page_max_changes

    async def _retry(self, read: Callable[[], Awaitable[_Read]]) -> _Read:
        delay = self._settings.read_retry_delay_seconds
        while True:
            try:
                async with self._slots:
                    return await read()
            except UnavailableError as error:
                self._telemetry.warning(
                    "change_log_unavailable", error=str(error), next="subscribers wait; asked again"
                )
            await asyncio.sleep(delay)
            delay = min(delay * 2, self._settings.read_retry_delay_max_seconds)
