"""The exchange's journal, read as orders and executions."""

from decimal import Decimal

from tools.chaos.evidence import VenueExecution, VenueOrder
from tools.chaos.load import order_id_of
from tools.chaos.truth import Journal, Json

ACCEPTED = {"kind": "order", "order_id": "v-1", "client_order_id": "o-1", "symbol": "AAPL", "qty": "5"}
NEW = {"kind": "event", "event": "new", "order_id": "v-1", "client_order_id": "o-1", "qty": None}
PARTIAL = NEW | {"event": "partial_fill", "execution_id": "x-1", "qty": "2", "price": "10.5"}
LAST = NEW | {"event": "fill", "execution_id": "x-2", "qty": "3", "price": "10.6"}


def test_an_order_is_open_until_its_last_fill_or_end() -> None:
    open_order = VenueOrder(
        order_id="o-1",
        venue_order_id="v-1",
        symbol="AAPL",
        quantity=Decimal(5),
        filled_quantity=Decimal(2),
        end=None,
    )

    assert _read([ACCEPTED, NEW, PARTIAL]).orders == [open_order]
    assert _read([ACCEPTED, NEW, PARTIAL]).open_orders == {"o-1"}
    assert [order.end for order in _read([ACCEPTED, NEW, PARTIAL, LAST]).orders] == ["filled"]
    assert [order.end for order in _read([ACCEPTED, NEW, NEW | {"event": "canceled"}]).orders] == ["canceled"]
    assert _read([ACCEPTED, NEW, PARTIAL, LAST]).open_orders == set()


def test_external_orders_and_their_executions_are_left_out_and_counted() -> None:
    external = ACCEPTED | {"order_id": "v-2", "client_order_id": "o-2", "wire_fields": {"type": "stop"}}
    fill = LAST | {"order_id": "v-2", "client_order_id": "o-2"}
    forgotten = {"kind": "forgotten", "order_id": "v-2", "client_order_id": "o-2"}

    journal = _read([ACCEPTED, NEW, external], [fill, forgotten])

    assert [order.order_id for order in journal.orders] == ["o-1"]
    assert journal.open_orders == {"o-1"}
    assert (journal.executions, journal.external_orders, journal.external_executions) == ([], 1, 1)


def test_an_order_that_was_accepted_twice_is_reported_twice() -> None:
    assert len(_read([ACCEPTED, ACCEPTED | {"order_id": "v-2"}]).orders) == 2


def test_executions_are_the_fills_with_their_exact_numbers() -> None:
    assert _read([ACCEPTED, NEW], [PARTIAL, LAST]).executions == [
        VenueExecution(execution_id="x-1", order_id="o-1", quantity=Decimal(2), price=Decimal("10.5")),
        VenueExecution(execution_id="x-2", order_id="o-1", quantity=Decimal(3), price=Decimal("10.6")),
    ]


def test_an_execution_has_the_value_of_its_newest_amendment_under_its_first_id() -> None:
    corrected = NEW | {"event": "trade_correct", "execution_id": "x-3", "previous_execution_id": "x-1"}
    again = corrected | {"execution_id": "x-4", "previous_execution_id": "x-3", "qty": "1", "price": "9"}
    busted = NEW | {
        "event": "trade_bust",
        "execution_id": "x-5",
        "previous_execution_id": "x-2",
        "qty": "-3",
        "price": "1",
    }

    journal = _read([ACCEPTED, PARTIAL, LAST, corrected | {"qty": "2", "price": "8"}], [again, busted])

    assert {each.execution_id: each.quantity for each in journal.executions} == {"x-1": Decimal(1), "x-2": Decimal(0)}
    assert [journal.first_id(name) for name in ("x-4", "x-5", "x-9")] == ["x-1", "x-2", "x-9"]
    assert journal.execution("x-4") == journal.executions[0]
    assert journal.filled["o-1"] == (Decimal(1), Decimal(9))
    assert [(order.filled_quantity, order.end, order.is_short) for order in journal.orders] == [
        (Decimal(1), "filled", True)
    ]
    assert journal.short_orders == {"o-1"}
    assert journal.counts == {"trade_correct": 2, "trade_bust": 1}


def test_a_restated_order_has_its_new_terms_and_is_filled_by_them() -> None:
    restated = NEW | {"event": "restated", "terms": {"symbol": "NEWCO", "qty": "3"}, "filled_qty": "2"}

    (working,) = _read([ACCEPTED, PARTIAL, restated]).orders
    filled = _read([ACCEPTED, PARTIAL, restated | {"terms": {"symbol": "AAPL", "qty": "2"}}])

    assert (working.symbol, working.quantity, working.end) == ("NEWCO", Decimal(3), None)
    assert [(order.end, order.is_short) for order in filled.orders] == [("filled", False)]
    assert filled.restated == {"o-1": ("AAPL", Decimal(2))}


def test_a_forgotten_order_is_neither_open_nor_over() -> None:
    journal = _read([ACCEPTED, NEW, {"kind": "forgotten", "order_id": "v-1", "client_order_id": "o-1"}])

    assert journal.forgotten == {"o-1"}
    assert journal.open_orders == set()
    assert [(order.end, order.is_forgotten) for order in journal.orders] == [(None, True)]


def test_a_nodes_id_converts_to_the_orders_id_at_the_exchange() -> None:
    assert order_id_of("ord_0199aabbccdd7eeeafff001122334455") == "0199aabb-ccdd-7eee-afff-001122334455"


def _read(*pages: list[Json]) -> Journal:
    journal = Journal()
    for page in pages:
        journal.take(page)
    return journal
