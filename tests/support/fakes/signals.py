"""Recorders of wake-ups and notifications."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.model.changes import RecordedChange


@dataclass(slots=True)
class RecordingPublisher:
    """ChangePublisher that records its arguments, commit by commit."""

    commits: list[Sequence[RecordedChange]] = field(default_factory=list)

    def publish(self, changes: Sequence[RecordedChange]) -> None:
        self.commits.append(changes)

    @property
    def changes(self) -> list[RecordedChange]:
        """Everything published, in order."""
        return [change for commit in self.commits for change in commit]


@dataclass(slots=True)
class RecordingWakeUps:
    """WakeUps that records the order ids and their delays."""

    placements: list[tuple[UUID, timedelta]] = field(default_factory=list)
    cancels: list[tuple[UUID, timedelta]] = field(default_factory=list)

    def placement_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        self.placements.extend((order_id, within) for order_id in order_ids)

    def cancel_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        self.cancels.extend((order_id, within) for order_id in order_ids)
