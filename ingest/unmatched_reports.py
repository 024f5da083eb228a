"""Reports whose order is not known here yet. They wait for a bounded time, in a bounded number. No I/O.

An order is stored before it is sent, so a report about an order of ours that is not stored is rare: the database was
restored to an earlier moment. It is applied when the client has repeated `placeOrder`, which stores the order under the
same venue client order id. A report without a client order id waits until its order is looked up.
"""

from collections.abc import Iterable, Sequence

from domain.ports.venue import VenueReport


class UnmatchedReports:
    """The waiting reports, each with the time until which it waits, in monotonic seconds."""

    def __init__(self, *, reports_max: int, wait_seconds: float) -> None:
        self._reports_max = reports_max
        self._wait_seconds = wait_seconds
        self._entries: list[tuple[float, VenueReport]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, reports: Sequence[VenueReport], *, now: float) -> Sequence[VenueReport]:
        """Add reports; return those for which there is no room."""
        room = self._reports_max - len(self._entries)
        self._entries += [(now + self._wait_seconds, report) for report in reports[:room]]
        return reports[room:]

    def reports(self) -> Sequence[VenueReport]:
        """Return all waiting reports."""
        return [report for _, report in self._entries]

    def settle(
        self, tried: Iterable[VenueReport], *, in_vain: Iterable[VenueReport], now: float
    ) -> Sequence[VenueReport]:
        """Remove the tried reports, except for those tried in vain whose time is not over; return those in vain that
        are removed."""
        kept = {id(report) for report in in_vain}
        expired = [one for until, one in self._entries if id(one) in kept and until <= now]
        gone = ({id(report) for report in tried} - kept) | {id(report) for report in expired}
        self._entries = [(until, one) for until, one in self._entries if id(one) not in gone]
        return expired
