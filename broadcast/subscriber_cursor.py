"""The position of one subscriber in the changes: from a number on, each once and in order, by hint or by reading."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from uuid import UUID

from broadcast.retrying_change_log import RetryingChangeLog
from broadcast.subscriber import Cause, Subscriber
from domain.model.changes import RecordedChange
from domain.model.errors import HistoryGoneError
from domain.ports.telemetry import Metric, Telemetry


class SubscriberCursor(ABC):
    """Follows consecutive numbers. `at` is the number of the last change that was returned."""

    def __init__(self, subscriber: Subscriber, *, log: RetryingChangeLog, telemetry: Telemetry) -> None:
        self.at = 0
        self._subscriber = subscriber
        self._log = log
        self._telemetry = telemetry
        self._reading: Cause | None = None

    def start_at(self, number: int) -> None:
        """Continue after this number, which was read after the subscriber had begun to buffer."""
        self.at = number
        self._reading = None

    def resume_at(self, number: int) -> None:
        """Continue after this number, reading first what was missed since."""
        self.at = number
        self._subscriber.fall_behind(Cause.RESUME)

    async def next(self) -> Sequence[RecordedChange]:
        """Wait for the next changes, at least one. Raises HistoryGoneError when they can no longer be read."""
        while True:
            changes = await self.missed() if self._is_behind else self._buffered()
            if changes:
                return changes
            if not self._is_behind:
                await self._subscriber.wait()

    async def missed(self) -> Sequence[RecordedChange]:
        """Read the next page of what was missed. Raises HistoryGoneError, also when the history has moved back."""
        behind = self._subscriber.behind
        cause = self._reading or behind or Cause.GAP
        if self._reading is None:
            self._telemetry.count(Metric.REREADS, cause=cause)
        self._reading = cause
        self._subscriber.catch_up()
        if behind is Cause.MOVED_BACK:
            raise HistoryGoneError
        page = await self._read_page()
        if self._log.is_last_page(page):
            self._reading = None
        newer = self._newer(page)
        if page and not newer:
            raise HistoryGoneError
        return newer

    @property
    def _is_behind(self) -> bool:
        return self._reading is not None or self._subscriber.behind is not None

    def _buffered(self) -> Sequence[RecordedChange]:
        """Return the buffered newer changes; after a gap in them the subscriber counts as behind."""
        changes = [change for change in self._subscriber.take() if self._number(change) > self.at]
        newer = self._newer(changes)
        if len(newer) < len(changes):
            self._subscriber.fall_behind(Cause.GAP)
        return newer

    def _newer(self, changes: Iterable[RecordedChange]) -> Sequence[RecordedChange]:
        """Return the changes that follow without a gap on what was returned; they count as returned."""
        newer: list[RecordedChange] = []
        for change in changes:
            if self._number(change) == self.at + 1:
                self.at += 1
                newer.append(change)
        if newer:
            self._telemetry.count(Metric.DELIVERIES, len(newer))
        return newer

    @abstractmethod
    def _number(self, change: RecordedChange) -> int:
        """Return the number by which changes are consecutive."""

    @abstractmethod
    async def _read_page(self) -> Sequence[RecordedChange]:
        """Read the next page of changes after `at`."""


class AccountCursor(SubscriberCursor):
    """All changes of an account, by their sequence."""

    def __init__(
        self, subscriber: Subscriber, *, account_id: str, log: RetryingChangeLog, telemetry: Telemetry
    ) -> None:
        super().__init__(subscriber, log=log, telemetry=telemetry)
        self._account_id = account_id

    def _number(self, change: RecordedChange) -> int:
        return change.sequence

    async def _read_page(self) -> Sequence[RecordedChange]:
        return await self._log.account_page(self._account_id, after=self.at)


class OrderCursor(SubscriberCursor):
    """The changes of one order, by its version."""

    def __init__(self, subscriber: Subscriber, *, order_id: UUID, log: RetryingChangeLog, telemetry: Telemetry) -> None:
        super().__init__(subscriber, log=log, telemetry=telemetry)
        self._order_id = order_id

    def _number(self, change: RecordedChange) -> int:
        return change.order.version

    async def _read_page(self) -> Sequence[RecordedChange]:
        return await self._log.order_page(self._order_id, after_version=self.at)
