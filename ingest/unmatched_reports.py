"""Reports about orders that are not stored here yet. They wait for a bounded time, in a bounded number. No I/O.

An order is stored before it is sent, so such a report is rare: a database that was restored from a backup, or a second
gateway on the same venue account. It is applied when the order appears.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from domain.ports.venue import VenueReport

OUR_ID_VERSION = 7
"""Our order ids are uuid version 7; a broker's own, for orders placed in its interface, are random ones."""


class UnmatchedReports:
    """The waiting reports, each with the time until which it waits, in monotonic seconds."""

    def __init__(self, *, reports_max: int, wait_seconds: float) -> None:
        self._reports_max = reports_max
        self._wait_seconds = wait_seconds
        self._entries: list[tuple[float, VenueReport]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, reports: Sequence[VenueReport], unknown: Collection[UUID], *, now: float) -> Sequence[VenueReport]:
        """Add the reports about one of these order ids, if it is ours; return those for which there is no room."""
        ours = [report for report in reports if report.order_id in unknown and is_ours(report.order_id)]
        room = self._reports_max - len(self._entries)
        self._entries += [(now + self._wait_seconds, report) for report in ours[:room]]
        return ours[room:]

    def reports(self) -> Sequence[VenueReport]:
        """Return all waiting reports."""
        return [report for _, report in self._entries]

    def settle(self, tried: Sequence[VenueReport], *, unknown: Collection[UUID], now: float) -> Sequence[VenueReport]:
        """Remove the tried reports whose orders are known now, and those whose time is over; return the latter."""
        outcome = {id(report): report.order_id in unknown for report in tried}
        expired = [one for until, one in self._entries if outcome.get(id(one)) and until <= now]
        gone = {id(report) for report in expired} | {key for key, is_unknown in outcome.items() if not is_unknown}
        self._entries = [(until, one) for until, one in self._entries if id(one) not in gone]
        return expired


def is_ours(order_id: UUID | None) -> bool:
    """Return whether the id has the form of the ids that are created here."""
    return order_id is not None and order_id.version == OUR_ID_VERSION
