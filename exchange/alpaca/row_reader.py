"""The rows of the venue's lists. A row that cannot be read is counted and logged, and hides no other."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from domain.model.order_identity import InstallationPrefixes
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import FoundOrder, ListedFill, UnreadableOrder, VenueOrder, VenueReport
from exchange.alpaca.fields import Json, WireError
from exchange.alpaca.fill_activities import activity_order, parse_fill_activity
from exchange.alpaca.orders import parse_found_order
from exchange.alpaca.pages import ListRows
from exchange.alpaca.unknown_values import count_unknown_values

ROW_SHOWN_MAX_CHARACTERS = 128

_Parsed = TypeVar("_Parsed")


class RowReader:
    """Reads rows of orders, fills and instruments."""

    def __init__(self, *, venue: str, telemetry: Telemetry) -> None:
        self._venue = venue
        self._telemetry = telemetry

    def rows(self, rows: Sequence[object]) -> ListRows:
        """Return the rows that are objects, and how many there were."""
        objects = [row for row in rows if isinstance(row, dict)]
        for row in rows:
            if not isinstance(row, dict):
                self.note_unreadable(row_id=str(row)[:ROW_SHOWN_MAX_CHARACTERS], error="the row is not an object")
        return ListRows(count=len(rows), objects=objects)

    def found_orders(self, rows: Sequence[Json], prefixes: InstallationPrefixes) -> Sequence[FoundOrder]:
        """Return the orders of a page: ours parsed or marked as unreadable, external ones by their ids."""
        orders = self.parsed(rows, partial(parse_found_order, prefixes=prefixes))
        for order in orders:
            if isinstance(order, UnreadableOrder):
                self.note_unreadable(row_id=order.venue_client_order_id, error=order.error)
            elif isinstance(order, VenueOrder):
                count_unknown_values(self._telemetry, order.unknown_values)
        return orders

    def fills(self, rows: Sequence[Json]) -> Sequence[ListedFill]:
        """Return the fills of a page, the readable ones first and in their order."""
        parsed = [fill for row in rows if (fill := parse_fill_activity(row)) is not None]
        if len(parsed) < len(rows):
            self._telemetry.count(Metric.VENUE_VALUES_UNKNOWN, len(rows) - len(parsed), field="activity_type")
        readable = [fill for fill in parsed if isinstance(fill, VenueReport)]
        return [*sorted(readable, key=activity_order), *(fill for fill in parsed if not isinstance(fill, VenueReport))]

    def parsed(self, rows: Sequence[Json], parse: Callable[[Json], _Parsed]) -> Sequence[_Parsed]:
        """Return the readable rows: an unreadable one does not hide the others."""
        parsed: list[_Parsed] = []
        for row in rows:
            try:
                parsed.append(parse(row))
            except WireError as error:
                self.note_unreadable(row_id=str(row.get("id"))[:ROW_SHOWN_MAX_CHARACTERS], error=str(error))
        return parsed

    def note_unreadable(self, *, row_id: str, error: str) -> None:
        """Count and log a row of ours that cannot be read."""
        self._telemetry.count(Metric.REPORTS_UNREADABLE)
        self._telemetry.error(
            "venue_row_unreadable",
            venue=self._venue,
            row_id=row_id,
            error=error,
            next="the row is left out; look at it at the venue",
        )
