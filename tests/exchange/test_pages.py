"""Where the next page of the venue's lists of orders starts: no order falls between two pages."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from exchange.alpaca.fields import Json
from exchange.alpaca.pages import CLOSED_ORDERS, OPEN_ORDERS, ORDERS_PAGE_ROWS, ListRows, OrderList

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


def _listed(orders: Sequence[Json], wanted: OrderList, page: str | None) -> ListRows:
    """Return one page like the venue: rows after the start, which is exclusive."""
    key, _, start = (page or "").partition("=")
    if key == "after":
        orders = [one for one in orders if _moment(str(one["submitted_at"])) > _moment(start)]
    elif key == "until":
        orders = [one for one in orders if _moment(str(one["submitted_at"])) < _moment(start)]
    orders = sorted(orders, key=lambda one: str(one["submitted_at"]), reverse=wanted is CLOSED_ORDERS)
    if key in {"after_order_id", "before_order_id"}:
        behind = [str(one["id"]) for one in orders].index(start) + 1
        orders = orders[behind:]
    some = orders[:ORDERS_PAGE_ROWS]
    return ListRows(count=len(some), objects=some)


@pytest.mark.parametrize("wanted", [OPEN_ORDERS, CLOSED_ORDERS], ids=lambda wanted: f"{wanted.status} orders")
@pytest.mark.parametrize("border", [ORDERS_PAGE_ROWS - 3, ORDERS_PAGE_ROWS - 1, ORDERS_PAGE_ROWS])
@pytest.mark.parametrize("apart", [0, 1, 999], ids=lambda nanoseconds: f"{nanoseconds} ns apart")
def test_orders_of_one_moment_at_the_border_of_a_page_are_all_listed(
    wanted: OrderList, border: int, apart: int
) -> None:
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
        rows = _listed(orders, wanted, page)
        seen |= {str(one["id"]) for one in rows.objects}
        page = wanted.next_page(rows, page)
        if page is None:
            break

    assert page is None
    assert len(seen) == len(orders)
