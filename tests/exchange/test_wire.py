"""The venue's JSON and the corresponding domain values, valid and invalid."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import columns
from domain.model.executions import Trade
from domain.model.order import End, VenueCount, VenueRank
from domain.model.reports import (
    CancelRefused,
    ExecutionBusted,
    ExecutionCorrected,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRestated,
)
from domain.model.restatement import Restatement
from domain.model.values import DECIMAL_DIGITS, OrderType, ReasonSource, Side, Terms, TimeInForce
from domain.ports.venue import (
    ExternalOrder,
    ExternalReport,
    UnreadableFill,
    UnreadableOrder,
    UnreadableReport,
    VenueOrder,
    VenueReport,
)
from exchange.alpaca import events, frames, orders
from exchange.alpaca.assets import parse_asset
from exchange.alpaca.fields import ID_MAX_CHARACTERS, WireError, decimal, moment, own_id, write_moment
from exchange.alpaca.fill_activities import activity_order, parse_fill_activity
from exchange.alpaca.frames import ControlFrame, NullFrame
from exchange.alpaca.orders import order_json, parse_order
from tests.support.fakes.installation import PREFIXES

NAME = "test-mfrggzdfmztwq2lknnwg23tpobyxe43u"
OLD_NAME = "01890a5d-ac96-774b-bcce-b302099a8057"
AT = datetime(2026, 1, 5, 8, 0, 1, 234567, tzinfo=UTC)
AT_TEXT = "2026-01-05T08:00:01.234567891Z"
ARRIVED_AT = AT + timedelta(seconds=1)
parse_found_order = partial(orders.parse_found_order, prefixes=PREFIXES)
parse_trade_update = partial(events.parse_trade_update, prefixes=PREFIXES, clock=lambda: ARRIVED_AT)
parse_frame = partial(frames.parse_frame, prefixes=PREFIXES, clock=lambda: ARRIVED_AT)


def order(**changes: object) -> dict[str, object]:
    return {
        "id": "v1",
        "client_order_id": NAME,
        "created_at": AT_TEXT,
        "submitted_at": AT_TEXT,
        "updated_at": AT_TEXT,
        "symbol": "AAPL",
        "qty": "10",
        "filled_qty": "0",
        "type": "limit",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": "12.50",
        "status": "new",
        **changes,
    }


def update(event: str, **changes: object) -> dict[str, object]:
    return {"event": event, "order": order(), "timestamp": AT_TEXT, **changes}


def only_report(event: str, **changes: object) -> object:
    reported = parse_trade_update(update(event, **changes))
    assert isinstance(reported, VenueReport)
    [report] = reported.reports
    return report


def test_an_order_is_sent_with_our_id_and_exact_texts() -> None:
    terms = Terms(
        client_order_id="mine",
        isin="US0378331005",
        symbol="AAPL",
        side=Side.SELL,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        quantity=Decimal("1E+2"),
        limit_price=Decimal("12.500"),
    )

    assert order_json(NAME, terms) == {
        "client_order_id": NAME,
        "symbol": "AAPL",
        "side": "sell",
        "type": "limit",
        "time_in_force": "gtc",
        "qty": "100",
        "limit_price": "12.5",
    }


def test_an_order_of_the_venue_has_its_terms_and_its_acceptance() -> None:
    found = parse_order(order(filled_qty=2.5), venue_client_order_id=NAME)

    assert found.venue_client_order_id == NAME
    assert found.terms is not None
    assert found.terms.client_order_id == NAME
    assert (found.terms.symbol, found.terms.isin) == ("AAPL", "")
    assert (found.terms.quantity, found.terms.limit_price) == (Decimal(10), Decimal("12.50"))
    assert found.filled_quantity == Decimal("2.5")
    assert found.is_open
    assert found.reports == (OrderAccepted(venue_order_id="v1", rank=VenueRank.WORKING, at=AT),)


@pytest.mark.parametrize(
    ("status", "rank"),
    [
        ("accepted", VenueRank.ACCEPTED),
        ("pending_new", VenueRank.ACCEPTED),
        ("pending_cancel", VenueRank.ACCEPTED),
        ("held", VenueRank.ACCEPTED),
        ("a status of next year", VenueRank.ACCEPTED),
        ("new", VenueRank.WORKING),
        ("partially_filled", VenueRank.WORKING),
        ("done_for_day", VenueRank.WORKING),
    ],
)
def test_an_order_that_has_not_ended_is_open_for_any_status_name(status: str, rank: VenueRank) -> None:
    found = parse_order(order(status=status), venue_client_order_id=NAME)

    assert found.is_open
    assert found.reports == (OrderAccepted(venue_order_id="v1", rank=rank, at=AT),)


def test_a_filled_order_is_over_without_an_end_of_its_own() -> None:
    found = parse_order(order(status="filled", filled_qty="10"), venue_client_order_id=NAME)

    assert not found.is_open
    assert [type(report) for report in found.reports] == [OrderAccepted]


@pytest.mark.parametrize(
    ("status", "key", "end"),
    [
        ("canceled", "canceled_at", End.CANCELED),
        ("expired", "expired_at", End.EXPIRED),
        ("replaced", "replaced_at", End.REPLACED),
        ("rejected", "failed_at", End.REJECTED),
    ],
)
def test_an_ended_order_has_its_end_and_its_time(status: str, key: str, end: End) -> None:
    found = parse_order(order(status=status, **{key: "2026-01-05T10:00:00+01:00"}), venue_client_order_id=NAME)

    over = found.reports[-1]
    assert not found.is_open
    assert isinstance(over, OrderEnded)
    assert (over.end, over.at) == (end, datetime(2026, 1, 5, 9, tzinfo=UTC))
    assert over.reason.source is ReasonSource.VENUE
    assert len(found.reports) == (1 if end is End.REJECTED else 2)


@pytest.mark.parametrize(
    "client_order_id",
    [
        None,
        "",
        "by-hand",
        NAME.upper(),
        f" {NAME}",
        "test",
        "tes-mfrggzdfmztwq2lknnwg23tpobyxe43u",
        "test2-mfrggzdfmztwq2lknnwg23tpobyxe43u",
        f"test-{'x' * ID_MAX_CHARACTERS}",
        f"{{{OLD_NAME}}}",
        OLD_NAME.upper(),
        f"{OLD_NAME}\n",
        "9b2d9a0c-6f0d-4a55-8f04-6f9c6c6f0d11",
    ],
)
def test_a_client_order_id_that_we_never_send_is_not_ours(client_order_id: str | None) -> None:
    assert own_id(client_order_id, PREFIXES) is None


@pytest.mark.parametrize("client_order_id", [NAME, "test-placed-by-hand-under-our-prefix", OLD_NAME])
def test_an_id_with_our_prefix_is_ours_and_so_is_one_of_the_former_scheme(client_order_id: str) -> None:
    assert own_id(client_order_id, PREFIXES) == client_order_id


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "stop"},
        {"type": "a type of next year", "order_type": "a type of next year"},
        {"qty": None, "notional": "100"},
        {"time_in_force": "opg"},
        {"side": "sell_short"},
    ],
)
def test_an_order_under_our_id_of_a_kind_that_is_never_sent_has_no_terms_to_compare(changes: dict[str, object]) -> None:
    assert parse_order(order(**changes), venue_client_order_id=NAME).terms is None


@pytest.mark.parametrize("changes", [{"id": ""}, {"filled_qty": "-1"}, {"qty": "ten"}, {"status": 7}, {"side": None}])
def test_an_order_of_ours_that_cannot_be_read_keeps_its_id(changes: dict[str, object]) -> None:
    with pytest.raises(WireError):
        parse_order(order(**changes), venue_client_order_id=NAME)

    found = parse_found_order(order(**changes))
    assert isinstance(found, UnreadableOrder)
    assert found.venue_client_order_id == NAME


EXTERNAL_CHANGES: list[dict[str, object]] = [
    {"type": "stop", "stop_price": "11"},
    {"type": "stop_limit"},
    {"type": "trailing_stop", "trail_percent": "1.5", "hwm": "13"},
    {"time_in_force": "opg"},
    {"time_in_force": "cls"},
    {"qty": None, "notional": "100.10"},
    {"order_class": "a class of next year"},
    {"order_class": "bracket", "legs": [{"id": 7}, None, "leg"]},
    {"side": "sell_short"},
    {"side": None},
    {"status": "a status of next year"},
    {"status": None, "submitted_at": None, "created_at": 5},
    {"filled_qty": "-1", "limit_price": "NaN", "qty": 1e300},
    {"filled_qty": {"value": 1}},
    {"symbol": "\0", "id": "V\0/../7?x=\u20ac"},
    {"id": "v" * 5_000},
    {"id": None},
    {"id": 17},
]
EXTERNAL_IDS = ["by-hand", "\0", "x" * 5_000, "../orders", NAME.upper(), 17, ["a"], {"id": 1}, True]


@pytest.mark.parametrize("changes", EXTERNAL_CHANGES)
def test_of_an_external_order_only_the_id_is_read(changes: dict[str, object]) -> None:
    external = order(client_order_id="by-hand", **changes)

    found = parse_found_order(external)
    reported = parse_trade_update({"event": 7, "order": external, "timestamp": "now"})

    assert isinstance(found, ExternalOrder)
    assert reported == ExternalReport(venue_order_id=found.venue_order_id)


@pytest.mark.parametrize("client_order_id", EXTERNAL_IDS)
def test_an_order_with_a_client_order_id_that_is_never_sent_is_external(client_order_id: object) -> None:
    external = order(client_order_id=client_order_id, type="stop")

    assert parse_found_order(external) == ExternalOrder(venue_order_id="v1")
    assert parse_trade_update(update("new", order=external)) == ExternalReport(venue_order_id="v1")


def test_values_of_our_order_that_are_in_no_document_are_stored_as_text() -> None:
    found = parse_order(order(status="s" * 100, order_class="future"), venue_client_order_id=NAME)
    reported = parse_trade_update(update("an event of next year"))

    assert found.unknown_values == (("status", "s" * 64), ("order_class", "future"))
    assert found.is_open
    assert isinstance(reported, VenueReport)
    assert reported.unknown_values == (("event", "an event of next year"),)


@pytest.mark.parametrize(
    ("event", "rank"),
    [("accepted", VenueRank.ACCEPTED), ("pending_new", VenueRank.ACCEPTED), ("new", VenueRank.WORKING)],
)
def test_the_first_events_report_the_orders_progress(event: str, rank: VenueRank) -> None:
    expected = OrderAccepted(venue_order_id="v1", rank=rank, at=AT)

    assert only_report(event, execution_id="not a fill") == expected


@pytest.mark.parametrize("event", ["partial_fill", "fill"])
def test_a_fill_has_this_execution_and_the_cumulative_quantity(event: str) -> None:
    fill = only_report(event, execution_id="e1", qty="3", price=12.25, order=order(filled_qty="7"))

    assert fill == OrderFilled(
        venue_execution_id="e1",
        trade=Trade(quantity=Decimal(3), price=Decimal("12.25")),
        cumulative_quantity=Decimal(7),
        venue_order_id="v1",
        at=AT,
    )


def test_an_end_has_the_venues_own_reason_if_any() -> None:
    reported, untold = only_report("canceled", reason="CORPORATE_ACTION"), only_report("expired")

    assert isinstance(reported, OrderEnded)
    assert isinstance(untold, OrderEnded)
    assert (reported.end, reported.reason.message) == (End.CANCELED, "CORPORATE_ACTION")
    assert (untold.end, untold.reason.code) == (End.EXPIRED, "VENUE_EXPIRED")


def test_a_refused_cancel_does_not_know_which_request_it_refuses() -> None:
    refused = only_report("order_cancel_rejected", reason="TOO_LATE_TO_CANCEL")

    assert isinstance(refused, CancelRefused)
    assert (refused.request, refused.reason.message, refused.at) == (None, "TOO_LATE_TO_CANCEL", AT)


def test_busts_and_corrections_name_the_execution_by_either_field() -> None:
    bust = only_report("trade_bust", execution_id="e1")
    correction = only_report("trade_correct", execution_id="e9", previous_execution_id="e1", qty="2", price="3")

    count = VenueCount(at=AT, quantity=Decimal(0))
    assert bust == ExecutionBusted(venue_execution_id="e1", at=AT, count=count, venue_order_id="v1")
    trade = Trade(quantity=Decimal(2), price=Decimal(3))
    assert correction == ExecutionCorrected(
        venue_execution_id="e1", trade=trade, at=AT, amendment_id="e9", count=count, venue_order_id="v1"
    )


def test_a_bust_may_have_a_negative_quantity_and_a_correction_a_quantity_of_zero() -> None:
    bust = only_report("trade_bust", execution_id="e9", previous_execution_id="e1", qty="-2", price="3")
    correction = only_report("trade_correct", execution_id="e9", previous_execution_id="e1", qty="0", price="3")

    assert isinstance(bust, ExecutionBusted)
    assert (bust.venue_execution_id, bust.amendment_id) == ("e1", "e9")
    assert isinstance(correction, ExecutionCorrected)
    assert correction.trade.quantity == Decimal(0)


@pytest.mark.parametrize("event", ["done_for_day", "pending_cancel", "calculated", "an event of next year"])
def test_other_events_have_no_reports(event: str) -> None:
    report = parse_trade_update(update(event))

    assert isinstance(report, VenueReport)
    assert (report.venue_client_order_id, report.venue_order_id, report.reports) == (NAME, "v1", ())


@pytest.mark.parametrize("client_order_id", [None, ""])
def test_an_update_without_a_client_order_id_names_its_order_by_the_venues_id(client_order_id: str | None) -> None:
    report = parse_trade_update(update("new", order=order(client_order_id=client_order_id)))

    assert isinstance(report, VenueReport)
    assert (report.venue_client_order_id, report.venue_order_id) == (None, "v1")


EVENTS = ["new", "fill", "canceled", "rejected", "order_cancel_rejected", "restated", "trade_bust", "trade_correct"]


def test_a_restatement_has_the_current_terms() -> None:
    report = only_report("restated", order=order(qty="40", symbol="META", limit_price="3.125"))

    restatement = Restatement(at=AT, quantity=Decimal(40), symbol="META", limit_price=Decimal("3.125"))
    assert report == OrderRestated(venue_order_id="v1", restatement=restatement)


@pytest.mark.parametrize("changes", [{"qty": None}, {"type": "stop"}, {"time_in_force": "opg"}])
def test_a_restatement_to_a_kind_that_is_never_sent_is_ignored(changes: dict[str, object]) -> None:
    reported = parse_trade_update(update("restated", order=order(**changes)))

    assert isinstance(reported, VenueReport)
    assert reported.reports == ()


@pytest.mark.parametrize("quantity", ["0", "-1", "ten"])
def test_a_restatement_without_a_quantity_that_can_be_is_an_error(quantity: str) -> None:
    with pytest.raises(WireError):
        parse_trade_update(update("restated", order=order(qty=quantity)))


def test_an_order_has_its_last_change_and_whether_its_cancel_is_pending() -> None:
    changed_at = AT + timedelta(hours=1)
    pending = parse_found_order(order(status="pending_cancel", updated_at=write_moment(changed_at)))
    working = parse_found_order(order(updated_at=None))

    assert isinstance(pending, VenueOrder)
    assert isinstance(working, VenueOrder)
    assert (pending.is_cancel_pending, pending.is_open, pending.updated_at) == (True, True, changed_at)
    assert (working.is_cancel_pending, working.updated_at) == (False, None)


NO_TIMES: Sequence[object] = [None, "", 1767600001, "yesterday", "2026-13-45T08:00:00Z", {}]


@pytest.mark.parametrize("timestamp", NO_TIMES)
@pytest.mark.parametrize(
    "event",
    [
        "new",
        "fill",
        "canceled",
        "rejected",
        "order_cancel_rejected",
        "trade_bust",
        "trade_correct",
        "pending_cancel",
        "an event of next year",
    ],
)
def test_an_event_without_a_time_has_that_of_its_orders_last_change(event: str, timestamp: object) -> None:
    changed_at = "2026-01-05T08:00:02.345678Z"
    fields = {"execution_id": "e9", "previous_execution_id": "e8", "qty": "2", "price": "3"}

    reported = parse_trade_update(
        update(event, timestamp=timestamp, order=order(filled_qty="2", updated_at=changed_at), **fields)
    )

    assert isinstance(reported, VenueReport)
    assert reported.at == datetime(2026, 1, 5, 8, 0, 2, 345678, tzinfo=UTC)
    assert all(report.at == reported.at for report in reported.reports)


@pytest.mark.parametrize("updated_at", NO_TIMES)
def test_an_event_that_states_no_time_at_all_has_the_time_of_its_arrival(updated_at: object) -> None:
    data = update("canceled", order=order(updated_at=updated_at))
    del data["timestamp"]

    reported = parse_trade_update(data)

    assert isinstance(reported, VenueReport)
    assert [report.at for report in reported.reports] == [ARRIVED_AT]


def activity(**changes: object) -> dict[str, object]:
    return {
        "activity_type": "FILL",
        "id": "20260105080001234::e1",
        "cum_qty": "7",
        "qty": "3",
        "price": "12.25",
        "transaction_time": AT_TEXT,
        "order_id": "v1",
        **changes,
    }


def test_a_fill_activity_names_its_execution_after_the_time_and_its_order_by_the_venues_id() -> None:
    report = parse_fill_activity(activity())

    assert isinstance(report, VenueReport)
    [fill] = report.reports
    assert (report.venue_client_order_id, report.venue_order_id, report.at) == (None, "v1", AT)
    assert isinstance(fill, OrderFilled)
    assert (fill.venue_execution_id, fill.cumulative_quantity) == ("e1", Decimal(7))


def test_activities_of_one_millisecond_are_sorted_by_cumulative_quantity() -> None:
    times = ["2026-01-05T08:00:01.234999Z", "2026-01-05T08:00:01.234001Z", "2026-01-05T08:00:01.233Z"]
    rows = [activity(transaction_time=time, cum_qty=cum) for time, cum in zip(times, "129", strict=True)]

    reports = [report for row in rows if isinstance(report := parse_fill_activity(row), VenueReport)]
    ordered = sorted(reports, key=activity_order)

    fills = [fill for report in ordered for fill in report.reports if isinstance(fill, OrderFilled)]
    assert [fill.cumulative_quantity for fill in fills] == [Decimal(9), Decimal(1), Decimal(2)]


NO_IDS = [".", "..", "v" * (ID_MAX_CHARACTERS + 1)]
"""Two would name another resource in a path, the last one no row can hold."""


@pytest.mark.parametrize("name", NO_IDS)
def test_a_text_that_cannot_be_stored_or_looked_up_is_no_id_of_the_venue(name: str) -> None:
    fill = {"qty": "3", "price": "12.25"}
    with pytest.raises(WireError):
        parse_order(order(id=name), venue_client_order_id=NAME)
    for event in ("new", "canceled", "calculated"):
        with pytest.raises(WireError):
            parse_trade_update(update(event, order=order(id=name)))
    for event in ("fill", "trade_bust", "trade_correct"):
        with pytest.raises(WireError):
            parse_trade_update(update(event, execution_id=name, order=order(filled_qty="7"), **fill))
    with pytest.raises(WireError):
        parse_trade_update(update("trade_bust", execution_id="e9", previous_execution_id=name))
    for changes in ({"order_id": name}, {"id": f"20260105080001234::{name}"}):
        assert isinstance(parse_fill_activity(activity(**changes)), UnreadableFill)


def test_a_fill_activity_that_names_nothing_after_the_time_has_no_id() -> None:
    assert isinstance(parse_fill_activity(activity(id="20260105080001234::")), UnreadableFill)


@pytest.mark.parametrize("activity_type", ["DIV", "FEE", "a type of next year"])
def test_an_activity_of_another_type_is_no_fill(activity_type: str) -> None:
    assert parse_fill_activity({"activity_type": activity_type, "id": "x", "net_amount": "1"}) is None


@pytest.mark.parametrize("changes", [{"qty": "-3"}, {"price": None}, {"transaction_time": "now"}, {"cum_qty": "many"}])
def test_a_fill_activity_that_cannot_be_read_names_its_order_and_is_stored_raw(changes: dict[str, object]) -> None:
    row = activity(**changes)

    fill = parse_fill_activity(row)

    assert isinstance(fill, UnreadableFill)
    assert fill.venue_order_id == "v1"
    assert orjson.loads(fill.raw) == row


def test_the_longest_id_is_one_that_the_database_takes() -> None:
    longest = "v" * columns.ID_MAX_CHARACTERS

    assert parse_order(order(id=longest), venue_client_order_id=NAME).venue_order_id == longest
    fill = parse_fill_activity(activity(id=f"20260105080001234::{longest}", order_id=longest))
    assert isinstance(fill, VenueReport)
    assert fill.venue_order_id == longest


def test_an_asset_becomes_an_instrument_only_if_it_has_an_isin() -> None:
    asset: dict[str, Any] = {"symbol": "AAPL", "name": "Apple", "status": "active", "tradable": True}

    instrument = parse_asset(asset | {"isin": "US0378331005", "tick_size": "0.05", "lot_size": 1, "currency": "EUR"})

    assert parse_asset(asset) is None
    assert instrument is not None
    assert (instrument.tick_size, instrument.lot_size, instrument.currency) == (Decimal("0.05"), Decimal(1), "EUR")
    assert instrument.tradable
    gone = parse_asset(asset | {"isin": "US0378331005", "status": "inactive"})
    assert gone is not None
    assert not gone.tradable
    with pytest.raises(WireError, match="not an ISIN"):
        parse_asset(asset | {"isin": "US0378331006"})


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, "", "x", "NaN", "Infinity", "1_000", "\u0661", " 1", "0x1", "1e99", 1e300, [], {}),
        *("0." + "1" * 19, "1234567890.1234567890123456789", "-123456789012345678.1234567890123456789"),
        *("1234567890123456789", "1234567890123456789.1234567890123456789", "123456789012345678.1234567890123456789e0"),
    ],
)
def test_what_is_no_exact_number_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        decimal({"qty": value}, "qty")


@pytest.mark.parametrize(
    ("value", "number"), [("12.50", "12.5"), (7, "7"), (0.1, "0.1"), (1e-07, "0.0000001"), ("0.000", "0"), ("-3", "-3")]
)
def test_numbers_are_exact_whether_text_or_number(value: object, number: str) -> None:
    assert decimal({"qty": value}, "qty") == Decimal(number)


@given(whole=st.integers(0, 10**20), behind=st.text("0123456789", min_size=1, max_size=30))
def test_a_number_has_at_most_18_digits_on_each_side_and_is_read_as_one_that_has_no_more(
    whole: int, behind: str
) -> None:
    written = f"{whole}.{behind}"

    if whole >= 10**DECIMAL_DIGITS or len(behind.rstrip("0")) > DECIMAL_DIGITS:
        with pytest.raises(WireError):
            decimal({"qty": written}, "qty")
    else:
        number = decimal({"qty": written}, "qty")
        assert number == Decimal(written)
        assert int(number.as_tuple().exponent) >= -DECIMAL_DIGITS


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "",
        "today",
        "20260105T080001Z",
        "2026-01-05",
        "2026-13-05T08:00:01Z",
        "2026-01-05T08:00:61Z",
        "2026-01-05T08:00:01",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(WireError):
        moment({"at": value}, "at")


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_time_that_is_written_is_read_back(naive: datetime) -> None:
    aware = naive.replace(tzinfo=UTC)

    assert moment({"at": write_moment(aware)}, "at") == aware


def test_frames_are_parsed_by_their_stream() -> None:
    raw = orjson.dumps({"stream": "trade_updates", "data": update("new")})

    assert isinstance(parse_frame(raw), VenueReport)
    assert parse_frame(b'{"stream":"trade_updates","data":null}') == NullFrame()
    assert isinstance(parse_frame(b'{"stream":"listening","data":{}}'), ControlFrame)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"data":{}}', b'{"stream":"trade_updates","data":[]}', b"\xff", "é{".encode()]
)
def test_a_frame_that_cannot_be_read_is_stored_raw(raw: bytes) -> None:
    frame = parse_frame(raw)

    assert isinstance(frame, UnreadableReport)
    assert frame.raw == raw


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([AT_TEXT, "v1", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)
KEYS = sorted({*order(), *update("fill"), *activity(), "isin", "tick_size", "reason", "execution_id", "status"})


@pytest.mark.parametrize("parse", [parse_found_order, parse_trade_update, parse_fill_activity, parse_asset])
@given(base=st.sampled_from([{}, order(), activity(), *map(update, EVENTS)]), data=st.data())
def test_parsing_any_json_raises_only_a_wire_error(
    parse: Callable[[dict[str, object]], object], base: dict[str, object], data: st.DataObject
) -> None:
    changes = data.draw(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))

    with suppress(WireError):
        parse({**base, **changes})


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_of_a_frame_never_raise(raw: bytes) -> None:
    parse_frame(raw)
