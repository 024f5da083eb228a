"""Trade updates of the stream: what the venue reports of an order as it happens. Pure."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from domain.model.executions import Trade
from domain.model.order import VenueRank
from domain.model.order_identity import InstallationPrefixes
from domain.model.reports import (
    CancelRefused,
    ExecutionBusted,
    ExecutionCorrected,
    OrderAccepted,
    OrderFilled,
    OrderRestated,
    Report,
)
from domain.model.values import Reason, ReasonSource
from domain.ports.clock_and_ids import Clock
from domain.ports.venue import ExternalOrder, ExternalReport, VenueReport
from exchange.alpaca.fields import (
    Json,
    WireError,
    as_object,
    as_venue_id,
    is_storable,
    moment,
    not_negative,
    optional_text,
    own_id,
    plain_number,
    positive,
    read_moment,
    text,
    venue_id,
)
from exchange.alpaca.fill_activities import trade_of
from exchange.alpaca.orders import (
    ENDS,
    UNKNOWN_VALUE_MAX_CHARACTERS,
    ended,
    owner_of,
    parse_restatement,
    reason_text,
    replaced_reports,
    replacing_report,
    venue_count,
)

TRADE_UPDATES = "trade_updates"
"""The stream of what happens to orders."""

_EVENTS_WITHOUT_REPORTS = frozenset(
    {"accepted_for_bidding", "calculated", "done_for_day", "held", "order_replace_rejected", "pending_cancel"}
    | {"pending_replace", "pending_review", "stopped", "suspended"}
)
_FILLS = frozenset({"partial_fill", "fill"})


def parse_trade_update(
    data: Json, prefixes: InstallationPrefixes, *, clock: Clock, raw: bytes = b""
) -> VenueReport | ExternalReport:
    """Return the reports of one trade update, which was received as `raw`. Raises WireError, never for an external
    order.

    Events that change nothing here, and events not in the documents, have no reports. `clock` returns the time of
    arrival, for an event without a time.
    """
    order = as_object(data.get("order"), what="order")
    owner = owner_of(order, prefixes)
    if isinstance(owner, ExternalOrder):
        return _external_report(data, order, owner, clock=clock, raw=raw)
    return _venue_report(data, order, owner, replaced_reports(order), clock=clock, raw=raw)


def _external_report(
    data: Json, order: Json, owner: ExternalOrder, *, clock: Clock, raw: bytes
) -> VenueReport | ExternalReport:
    """Return the report about an order that was not placed here: read only if it replaced another, which may be
    ours."""
    try:
        replacing = replacing_report(order)
        if replacing is not None:
            said = (replacing, *replaced_reports(order))
            return _venue_report(data, order, None, said, clock=clock, raw=raw)
    except WireError:
        # If it is ours, look-ups of the order that it replaced return it.
        return ExternalReport(venue_order_id=owner.venue_order_id, is_unreadable_replacement=True)
    return ExternalReport(venue_order_id=owner.venue_order_id)


def _venue_report(
    data: Json, order: Json, owner: str | None, said: Sequence[Report], *, clock: Clock, raw: bytes
) -> VenueReport:
    """Return the report of the event, in addition to the order's own."""
    event, at = text(data, "event"), _stated_time(data, order) or clock()
    parse = _EVENTS.get(event)
    is_known = parse is not None or event in _EVENTS_WITHOUT_REPORTS
    return VenueReport(
        venue_client_order_id=owner,
        venue_order_id=venue_id(order, "id"),
        reports=said if parse is None or (report := parse(data, order, at)) is None else (*said, report),
        at=at,
        unknown_values=() if is_known else (("event", event[:UNKNOWN_VALUE_MAX_CHARACTERS]),),
        raw=raw,
    )


def _stated_time(data: Json, order: Json) -> datetime | None:
    """Return the event's own time, else that of the order's last change; None where neither can be read."""
    for holder, key in ((data, "timestamp"), (order, "updated_at")):
        with suppress(WireError):
            return moment(holder, key)
    return None


def plain_fill(
    message: Any,  # noqa: ANN401 - JSON of unknown shape
    prefixes: InstallationPrefixes,
    *,
    raw: bytes = b"",
) -> VenueReport | None:
    """Return the event of a plain fill in the usual form, by a fast path for nearly all frames.

    For these the result is that of `parse_trade_update`, at a third of the time; None for everything else.
    """
    try:
        data = message["data"]
        order = data["order"]
        client_order_id, execution_id, venue_order_id = order["client_order_id"], data["execution_id"], order["id"]
        if not (
            message["stream"] == TRADE_UPDATES
            and data["event"] in _FILLS
            and type(client_order_id) is type(execution_id) is type(venue_order_id) is str
            and client_order_id
            and is_storable(client_order_id)
            and is_storable(as_venue_id(execution_id, what="execution_id"))
            and is_storable(as_venue_id(venue_order_id, what="id"))
        ):
            return None
        quantity, price = plain_number(data["qty"]), plain_number(data["price"])
        total, at = plain_number(order["filled_qty"]), read_moment(data["timestamp"])
    except (KeyError, TypeError, AttributeError, WireError):
        return None
    name = own_id(client_order_id, prefixes)
    if name is None or not quantity or price is None or not total:
        return None
    fill = OrderFilled(
        venue_execution_id=execution_id,
        trade=Trade(quantity=quantity, price=price),
        cumulative_quantity=total,
        venue_order_id=venue_order_id,
        at=at,
    )
    return VenueReport(venue_client_order_id=name, venue_order_id=venue_order_id, reports=(fill,), at=at, raw=raw)


def _accepted(rank: VenueRank) -> Callable[[Json, Json, datetime], Report]:
    def parse(_data: Json, order: Json, at: datetime) -> OrderAccepted:
        return OrderAccepted(venue_order_id=venue_id(order, "id"), rank=rank, at=at)

    return parse


def _filled(data: Json, order: Json, at: datetime) -> OrderFilled:
    return OrderFilled(
        venue_execution_id=venue_id(data, "execution_id"),
        trade=trade_of(data),
        cumulative_quantity=positive(order, "filled_qty"),
        venue_order_id=venue_id(order, "id"),
        at=at,
    )


def _ended(data: Json, order: Json, at: datetime) -> Report:
    stated, count = reason_text(data) or reason_text(order), venue_count(order, at=at)
    return ended(ENDS[text(data, "event")], venue_order_id=venue_id(order, "id"), at=at, stated=stated, count=count)


def _restated(_data: Json, order: Json, at: datetime) -> OrderRestated | None:
    return parse_restatement(order, at=at)


def _cancel_refused(data: Json, _order: Json, at: datetime) -> CancelRefused:
    message = reason_text(data) or "The venue refused to cancel the order."
    reason = Reason(source=ReasonSource.VENUE, code="VENUE_CANCEL_REFUSED", message=message)
    return CancelRefused(reason=reason, request=None, at=at)


def _busted(data: Json, order: Json, at: datetime) -> ExecutionBusted:
    # A busted one has a negative quantity, and is recorded already.
    name, own_id = _amended_execution_id(data)
    return ExecutionBusted(
        venue_execution_id=name,
        at=at,
        amendment_id=own_id,
        count=venue_count(order, at=at),
        venue_order_id=venue_id(order, "id"),
    )


def _corrected(data: Json, order: Json, at: datetime) -> ExecutionCorrected:
    name, own_id = _amended_execution_id(data)
    trade = Trade(quantity=not_negative(data, "qty"), price=not_negative(data, "price"))
    return ExecutionCorrected(
        venue_execution_id=name,
        trade=trade,
        at=at,
        amendment_id=own_id,
        count=venue_count(order, at=at),
        venue_order_id=venue_id(order, "id"),
    )


def _amended_execution_id(data: Json) -> tuple[str, str | None]:
    """Return the id of the execution that is undone or changed, and the amendment's own id.

    The broker documents `previous_execution_id` for its partners only; without it `execution_id` is the one amended.
    """
    if optional_text(data, "previous_execution_id") is None:
        return venue_id(data, "execution_id"), None
    name = venue_id(data, "previous_execution_id")
    own_id = None if optional_text(data, "execution_id") is None else venue_id(data, "execution_id")
    return name, None if own_id == name else own_id


_EVENTS: Mapping[str, Callable[[Json, Json, datetime], Report | None]] = {
    "accepted": _accepted(VenueRank.ACCEPTED),
    "pending_new": _accepted(VenueRank.ACCEPTED),
    "new": _accepted(VenueRank.WORKING),
    "partial_fill": _filled,
    "fill": _filled,
    **dict.fromkeys(ENDS, _ended),
    "order_cancel_rejected": _cancel_refused,
    "restated": _restated,
    "trade_bust": _busted,
    "trade_correct": _corrected,
}
"""Events by name. `done_for_day`, `pending_cancel` and the like are rare, are not the end, and say nothing new."""
