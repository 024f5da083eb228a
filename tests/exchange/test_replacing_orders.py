"""An order that was not placed here is read when it replaced another one: that one may be ours."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.model.order import End
from domain.model.reports import OrderAccepted, OrderEnded, OrderFilled, OrderReplaced, Report
from domain.model.restatement import Restatement
from domain.ports.venue import ExternalOrder, ExternalReport, VenueOrder, VenueReport
from exchange.alpaca.orders import parse_order
from tests.exchange.test_wire import AT, AT_TEXT, NAME, order, parse_found_order, parse_trade_update, update

REPLACED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
REPLACED_AT_TEXT = "2026-01-05T09:00:00Z"


def replacing(**changes: object) -> dict[str, object]:
    """Return the order v2, which replaced v1."""
    return order(id="v2", client_order_id="by-hand", replaces="v1", updated_at=AT_TEXT, **changes)


def link(*, completed: str | None = None) -> OrderReplaced:
    terms = Restatement(at=AT, quantity=Decimal(10), symbol="AAPL", limit_price=Decimal("12.50"))
    return OrderReplaced(
        venue_order_id="v2",
        replaces="v1",
        at=AT,
        venue_client_order_id="by-hand",
        restatement=terms,
        completed=None if completed is None else Decimal(completed),
    )


def types_of(reports: object) -> list[type[Report]]:
    assert isinstance(reports, tuple)
    return [type(report) for report in reports]


def test_our_order_names_the_one_that_replaced_it_in_front_of_its_end() -> None:
    found = parse_order(
        order(status="replaced", replaced_by="v2", replaced_at=REPLACED_AT_TEXT), venue_client_order_id=NAME
    )

    assert found.replaced_by == "v2"
    assert types_of(found.reports) == [OrderAccepted, OrderReplaced, OrderEnded]
    assert found.reports[1] == OrderReplaced(venue_order_id="v2", replaces="v1", at=REPLACED_AT)


def test_the_event_of_a_replacement_names_it() -> None:
    reported = parse_trade_update(
        update("replaced", order=order(status="replaced", replaced_by="v2", replaced_at=REPLACED_AT_TEXT))
    )

    assert isinstance(reported, VenueReport)
    assert types_of(reported.reports) == [OrderReplaced, OrderEnded]
    assert reported.venue_client_order_id == NAME


@pytest.mark.parametrize(
    ("event", "changes", "more", "report"),
    [
        ("new", {"status": "new"}, {}, OrderAccepted),
        ("canceled", {"status": "canceled"}, {}, OrderEnded),
        (
            "partial_fill",
            {"status": "partially_filled", "filled_qty": "33"},
            {"execution_id": "e1", "qty": "33", "price": "1"},
            OrderFilled,
        ),
    ],
)
def test_an_event_of_a_replacement_is_read_and_names_no_order_of_ours(
    event: str, changes: dict[str, object], more: dict[str, object], report: type[Report]
) -> None:
    reported = parse_trade_update({**update(event, order=replacing(**changes)), **more})

    assert isinstance(reported, VenueReport)
    assert (reported.venue_client_order_id, reported.venue_order_id) == (None, "v2")
    assert types_of(reported.reports) == [OrderReplaced, report]
    assert reported.reports[0] == link()


def test_an_order_reported_as_filled_has_the_venues_count() -> None:
    found = parse_found_order(replacing(status="filled", filled_qty="6"))

    assert isinstance(found, ExternalOrder)
    assert isinstance(found.replacement, VenueOrder)
    assert (found.replacement.replaces, found.replacement.is_open) == ("v1", False)
    assert found.replacement.reports[0] == link(completed="6")


def test_one_in_the_middle_of_a_chain_names_both_neighbours() -> None:
    found = parse_found_order(replacing(status="replaced", replaced_by="v3", replaced_at=REPLACED_AT_TEXT))

    assert isinstance(found, ExternalOrder)
    assert found.replacement is not None
    assert types_of(found.replacement.reports) == [OrderReplaced, OrderAccepted, OrderReplaced, OrderEnded]
    over = found.replacement.reports[-1]
    assert isinstance(over, OrderEnded)
    assert (over.end, found.replacement.replaced_by) == (End.REPLACED, "v3")


@pytest.mark.parametrize("changes", [{"qty": "many"}, {"replaces": "x" * 200}, {"submitted_at": "now"}])
def test_one_that_cannot_be_read_raises_nothing_and_is_not_taken_for_plainly_external(
    changes: dict[str, object],
) -> None:
    unreadable = {**replacing(status="new"), **changes}

    assert parse_found_order(unreadable) == ExternalOrder(venue_order_id="v2", is_unreadable_replacement=True)
    reported = parse_trade_update(update("new", order=unreadable))
    assert reported == ExternalReport(venue_order_id="v2", is_unreadable_replacement=True)
