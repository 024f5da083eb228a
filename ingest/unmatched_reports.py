"""Reports about orders that are not known here yet: they wait for a bounded time, and a bounded number of them.

An order is stored before it is sent, so such a report is rare: a database that was restored from a backup, or a second
gateway with the same account. It is applied when the order appears. No I/O.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from domain.ports.venue import VenueReport

OUR_ID_VERSION = 7
"""Our order ids are uuid version 7; a broker's own, for orders placed by hand, are random ones."""


class WaitingReports:
    """The reports that wait, and until when, in seconds of a clock that only grows."""

    def __init__(self, *, reports_max: int, wait_seconds: float) -> None:
        self._reports_max = reports_max
        self._wait_seconds = wait_seconds
        self._waiting: list[tuple[float, VenueReport]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, reports: Sequence[VenueReport], unknown: Collection[UUID], *, now: float) -> Sequence[VenueReport]:
        """Let those wait that are about one of these orders; gives those for which there is no room."""
        ours = [report for report in reports if report.order_id in unknown and is_ours(report.order_id)]
        room = self._reports_max - len(self._waiting)
        self._waiting += [(now + self._wait_seconds, report) for report in ours[:room]]
        return ours[room:]

    def reports(self) -> Sequence[VenueReport]:
        """Everything that waits."""
        return [report for _, report in self._waiting]

    def take_out(self, tried: Sequence[VenueReport], *, unknown: Collection[UUID], now: float) -> Sequence[VenueReport]:
        """Forget those that were tried and whose order is known by now; gives those that waited long enough in vain."""
        outcome = {id(report): report.order_id in unknown for report in tried}
        late = [one for until, one in self._waiting if outcome.get(id(one)) and until <= now]
        gone = {id(report) for report in late} | {key for key, is_unknown in outcome.items() if not is_unknown}
        self._waiting = [(until, one) for until, one in self._waiting if id(one) not in gone]
        return late


def is_ours(order_id: UUID | None) -> bool:
    """Whether an id that is not known here has the form of those that are given here."""
    return order_id is not None and order_id.version == OUR_ID_VERSION
