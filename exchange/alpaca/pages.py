"""Pages of the venue's lists: where the next one starts. Pure."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.model.errors import VenueUnreachableError
from exchange.alpaca.fields import Json, WireError, first_moment, text, write_moment

ORDERS_PAGE_ROWS = 500
AFTER_TIME, AFTER_ID = "after", "after_order_id"
"""The venue's parameters that start a page of orders: behind a submission time, or behind an order."""

# The venue's `after` is exclusive and its times are finer than ours: a step back repeats rows, and never skips one.
STEP_BACK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRows:
    """The rows of a list: how many, and those that are objects."""

    count: int
    objects: Sequence[Json]


def next_orders_page(rows: ListRows, page: str | None) -> str | None:
    """Return where the next page starts; None after the last one. Raises VenueUnreachableError.

    By the newest submission time; by the last order when that time cannot be read or does not lead further, since a
    whole page has it.
    """
    if rows.count < ORDERS_PAGE_ROWS:
        return None
    times = [] if page is not None and page.startswith(f"{AFTER_ID}=") else _submission_times(rows.objects)
    by_time = f"{AFTER_TIME}={write_moment(max(times) - STEP_BACK)}" if times else page
    if by_time != page:
        return by_time
    by_id = f"{AFTER_ID}={last_id(rows.objects)}"
    if by_id == page:
        raise VenueUnreachableError("the venue's list of open orders has no end")
    return by_id


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
