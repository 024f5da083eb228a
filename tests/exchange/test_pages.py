"""Where the next page of the venue's list of open orders starts: no order falls between two pages."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from exchange.alpaca.fields import Json
from exchange.alpaca.pages import AFTER_ID, AFTER_TIME, ORDERS_PAGE_ROWS, ListRows, next_orders_page

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
PAGES_MAX = 20


def _moment(text: str) -> tuple[datetime, int]:
    """Read a time in nanoseconds, as the venue compares them."""
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00"), int(fraction.ljust(9, "0") or 0)


def _order(number: int, *, nanoseconds: int) -> Json:
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    at = NINE + timedelta(seconds=whole)
    return {"id": f"order-{number:04}", "submitted_at": f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"}


def _listed(orders: Sequence[Json], page: str | None) -> ListRows:
    """One page as the venue gives it: what is behind the start, which is exclusive."""
    key, _, start = (page or "").partition("=")
    if key == AFTER_TIME:
        orders = [one for one in orders if _moment(str(one["submitted_at"])) > _moment(start)]
    elif key == AFTER_ID:
        orders = [one for one in orders if str(one["id"]) > start]
    some = orders[:ORDERS_PAGE_ROWS]
    return ListRows(count=len(some), objects=some)


@pytest.mark.parametrize("border", [ORDERS_PAGE_ROWS - 3, ORDERS_PAGE_ROWS - 1, ORDERS_PAGE_ROWS])
@pytest.mark.parametrize("apart", [0, 1, 999], ids=lambda nanoseconds: f"{nanoseconds} ns apart")
def test_orders_of_one_moment_at_the_border_of_a_page_are_all_listed(border: int, apart: int) -> None:
    same = range(border, border + 4)
    orders = [
        _order(
            number,
            nanoseconds=border * 1_000_000 + (number - border) * apart // 4 if number in same else number * 1_000_000,
        )
        for number in range(ORDERS_PAGE_ROWS + 100)
    ]
    seen, page = set[str](), None
    for _ in range(PAGES_MAX):
        rows = _listed(sorted(orders, key=lambda one: str(one["submitted_at"])), page)
        seen |= {str(one["id"]) for one in rows.objects}
        page = next_orders_page(rows, page)
        if page is None:
            break

    assert page is None
    assert len(seen) == len(orders)
