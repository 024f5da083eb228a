"""Pages of the venue's lists: where the next one starts. Pure."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.model.errors import VenueUnreachableError
from exchange.alpaca.fields import Json, WireError, first_moment, text, write_moment

ORDERS_PAGE_ROWS = 500
# The venue's `after` and `until` are exclusive, and its times are finer than ours: a step back repeats rows, and never
# skips one.
STEP_BACK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRows:
    """The rows of a list: how many, and those that are objects."""

    count: int
    objects: Sequence[Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderList:
    """A list of orders: its status and direction, and the parameters that start a page after a submission time or
    after an order.
    """

    status: str
    direction: str
    by_time: str
    by_id: str

    def query(self, *, page: str | None, since: datetime | None = None) -> dict[str, str]:
        """Return the parameters of a page; `since` is the earliest submission time."""
        query = {
            "status": self.status,
            "limit": str(ORDERS_PAGE_ROWS),
            "direction": self.direction,
            "nested": "false",
        }
        if page is not None:
            key, _, start = page.partition("=")
            query[key] = start
        # The venue does not accept a time together with an id.
        if since is not None and self.by_id not in query:
            query["after"] = write_moment(since - STEP_BACK)
        return query

    def next_page(self, rows: ListRows, page: str | None) -> str | None:
        """Return where the next page starts; None after the last one. Raises VenueUnreachableError.

        By the last submission time; by the last order when that time cannot be read or does not advance, since a whole
        page has it.
        """
        if rows.count < ORDERS_PAGE_ROWS:
            return None
        times = [] if page is not None and page.startswith(f"{self.by_id}=") else _submission_times(rows.objects)
        by_time = f"{self.by_time}={write_moment(self._end(times))}" if times else page
        if by_time != page:
            return by_time
        by_id = f"{self.by_id}={last_id(rows.objects)}"
        if by_id == page:
            raise VenueUnreachableError("the venue's list of orders has no end")
        return by_id

    def _end(self, times: Sequence[datetime]) -> datetime:
        return max(times) - STEP_BACK if self.direction == OLDEST_FIRST else min(times) + STEP_BACK


OLDEST_FIRST, NEWEST_FIRST = "asc", "desc"
OPEN_ORDERS = OrderList(status="open", direction=OLDEST_FIRST, by_time="after", by_id="after_order_id")
CLOSED_ORDERS = OrderList(status="closed", direction=NEWEST_FIRST, by_time="until", by_id="before_order_id")


def _submission_times(rows: Sequence[Json]) -> Sequence[datetime]:
    times = []
    for row in rows:
        with suppress(WireError):
            times.append(first_moment(row, "submitted_at", "created_at"))
    return times


def last_id(rows: Sequence[Json]) -> str:
    """Return the id of the last row that has one. Raises VenueUnreachableError when none has."""
    for row in reversed(rows):
        with suppress(WireError):
            return text(row, "id")
    raise VenueUnreachableError("the venue's list cannot be paged: no row has an id")
