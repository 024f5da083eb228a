"""Orders between the venue's JSON and the domain. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from domain.model.order import End, VenueCount, VenueRank
from domain.model.order_identity import InstallationPrefixes
from domain.model.reports import OrderAccepted, OrderEnded, OrderReplaced, OrderRestated, Report
from domain.model.restatement import Restatement
from domain.model.values import ZERO, OrderType, Reason, ReasonSource, Side, Terms, TimeInForce, format_decimal
from domain.ports.venue import ExternalOrder, FoundOrder, UnknownValue, UnreadableOrder, VenueOrder
from exchange.alpaca.fields import (
    ID_MAX_CHARACTERS,
    Json,
    WireError,
    first_moment,
    moment,
    not_negative,
    optional_text,
    own_id,
    positive,
    text,
    venue_id,
)

ENDS: Mapping[str, End] = {
    "canceled": End.CANCELED,
    "expired": End.EXPIRED,
    "replaced": End.REPLACED,
    "rejected": End.REJECTED,
}
"""The statuses, and events of the same name, that end an order. `filled` is no end: its fills say so."""

_WORKING_STATUSES = frozenset({"new", "partially_filled", "filled", "done_for_day"})
_NOTHING_FILLED = (None, "0")
_KNOWN_VALUES: Mapping[str, frozenset[str]] = {
    "status": _WORKING_STATUSES
    | ENDS.keys()
    | {"accepted", "accepted_for_bidding", "calculated", "held", "pending_cancel", "pending_new", "pending_replace"}
    | {"pending_review", "stopped", "suspended"},
    "side": frozenset({"buy", "sell"}),
    "type": frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"}),
    "time_in_force": frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"}),
    "order_class": frozenset({"", "simple", "bracket", "oco", "oto", "mleg"}),
}
UNKNOWN_VALUE_MAX_CHARACTERS = 64
_END_TIMES: Mapping[End, str] = {
    End.CANCELED: "canceled_at",
    End.EXPIRED: "expired_at",
    End.REPLACED: "replaced_at",
    End.REJECTED: "failed_at",
}
_END_MESSAGES: Mapping[End, str] = {
    End.CANCELED: "The venue canceled the order.",
    End.EXPIRED: "The order expired at the venue.",
    End.REPLACED: "The order was replaced at the venue by another one.",
    End.REJECTED: "The venue rejected the order.",
}


def order_json(venue_client_order_id: str, terms: Terms) -> dict[str, str]:
    """Return the body that submits an order."""
    body = {
        "client_order_id": venue_client_order_id,
        "symbol": terms.symbol,
        "side": terms.side.value.lower(),
        "type": terms.type.value.lower(),
        "time_in_force": terms.time_in_force.value.lower(),
        "qty": format_decimal(terms.quantity),
    }
    if terms.limit_price is not None:
        body["limit_price"] = format_decimal(terms.limit_price)
    return body


def owner_of(data: Json, prefixes: InstallationPrefixes) -> str | ExternalOrder | None:
    """Return the client order id of an order of ours, or ExternalOrder, only by that id; None without one.

    Never raises, with any other content of the order.
    """
    name = data.get("client_order_id")
    if name is None or name == "":
        return None
    own = own_id(name, prefixes) if isinstance(name, str) else None
    return own or ExternalOrder(venue_order_id=_shown_id(data))


def replaced_reports(data: Json) -> tuple[OrderReplaced, ...]:
    """Return the reports of an order of ours about its replacement: none for nearly all. Raises WireError."""
    if optional_text(data, "replaced_by") is None:
        return ()
    at = first_moment(data, "replaced_at", "updated_at", "submitted_at", "created_at")
    return (OrderReplaced(venue_order_id=venue_id(data, "replaced_by"), replaces=venue_id(data, "id"), at=at),)


def replacing_report(data: Json) -> OrderReplaced | None:
    """Return the report of an order that is not one of ours about the one that it replaced. Raises WireError."""
    if optional_text(data, "replaces") is None:
        return None
    at, restatement = first_moment(data, "submitted_at", "created_at"), None
    if data.get("qty") is not None:
        restatement = Restatement(
            at=first_moment(data, "updated_at", "submitted_at", "created_at"),
            quantity=positive(data, "qty"),
            symbol=text(data, "symbol"),
            limit_price=None if data.get("limit_price") is None else not_negative(data, "limit_price"),
        )
    return OrderReplaced(
        venue_order_id=venue_id(data, "id"),
        replaces=venue_id(data, "replaces"),
        at=at,
        venue_client_order_id=venue_id(data, "client_order_id"),
        restatement=restatement,
        completed=not_negative(data, "filled_qty") if data.get("status") == "filled" else None,
    )


def parse_found_order(data: Json, prefixes: InstallationPrefixes) -> FoundOrder:
    """Return an order of a REST answer; only ours is read beyond its ids.

    Raises WireError when the order shows neither a client order id nor an id.
    """
    owner = owner_of(data, prefixes)
    if owner is None:
        # Every order that was sent from here has a client order id.
        return ExternalOrder(venue_order_id=venue_id(data, "id"))
    if isinstance(owner, ExternalOrder):
        return _with_replacement(owner, data)
    try:
        return parse_order(data, venue_client_order_id=owner)
    except WireError as error:
        return UnreadableOrder(venue_client_order_id=owner, venue_order_id=_shown_id(data), error=str(error))


def _with_replacement(external: ExternalOrder, data: Json) -> ExternalOrder:
    """Return it with the order that it is if it replaced another one."""
    try:
        replacing = replacing_report(data)
        if replacing is None:
            return external
        name = venue_id(data, "client_order_id")
        order = parse_order(data, venue_client_order_id=name)
    except WireError:
        return replace(external, is_unreadable_replacement=True)
    order = replace(order, replaces=replacing.replaces, reports=(replacing, *order.reports))
    return replace(external, replacement=order)


def parse_order(data: Json, *, venue_client_order_id: str) -> VenueOrder:
    """Return our order of a REST answer. Raises WireError."""
    venue_order_id, submitted_at = venue_id(data, "id"), first_moment(data, "submitted_at", "created_at")
    status = text(data, "status")
    return VenueOrder(
        venue_client_order_id=venue_client_order_id,
        venue_order_id=venue_order_id,
        terms=_terms(data),
        filled_quantity=not_negative(data, "filled_qty"),
        # A status that is not in the documents counts as open: then the order is looked up again.
        is_open=status not in ENDS and status != "filled",
        reports=_reports(data, status=status, venue_order_id=venue_order_id, submitted_at=submitted_at),
        submitted_at=submitted_at,
        updated_at=None if data.get("updated_at") is None else moment(data, "updated_at"),
        is_cancel_pending=status == "pending_cancel",
        replaced_by=optional_text(data, "replaced_by"),
        unknown_values=_unknown_values(data),
    )


def parse_restatement(data: Json, *, at: datetime) -> OrderRestated | None:
    """Return the terms of our order as the venue has changed them; None when they are of a kind that is never sent from
    here. Raises WireError."""
    terms = _terms(data)
    if terms is None:
        return None
    restatement = Restatement(at=at, quantity=terms.quantity, symbol=terms.symbol, limit_price=terms.limit_price)
    return OrderRestated(venue_order_id=venue_id(data, "id"), restatement=restatement)


def parse_acceptance(data: Json, *, venue_client_order_id: str) -> OrderAccepted | OrderEnded:
    """Return what the answer to a placement reports: the order was accepted, or its status is rejected.

    Raises WireError when the answer is not about this order.
    """
    if data.get("client_order_id") != venue_client_order_id:
        raise WireError("the answer names another order")
    status, venue_order_id = optional_text(data, "status") or "", venue_id(data, "id")
    if ENDS.get(status) is End.REJECTED:
        at = first_moment(data, "failed_at", "updated_at", "submitted_at", "created_at")
        return ended(End.REJECTED, venue_order_id=venue_order_id, at=at, stated=reason_text(data))
    at = first_moment(data, "submitted_at", "created_at")
    return _accepted(data, status=status, venue_order_id=venue_order_id, at=at)


def ended(
    end: End, *, venue_order_id: str, at: datetime, stated: str | None, count: VenueCount | None = None
) -> OrderEnded:
    """Return the end of an order with the venue's reason; `stated` is its own text, if any."""
    message = stated or _END_MESSAGES[end]
    reason = Reason(source=ReasonSource.VENUE, code=f"VENUE_{end.value}", message=message)
    return OrderEnded(end=end, reason=reason, venue_order_id=venue_order_id, at=at, count=count)


def venue_count(order: Json, *, at: datetime) -> VenueCount | None:
    """Return the filled quantity of the order at that time, None when it omits that. Raises WireError."""
    return None if order.get("filled_qty") is None else VenueCount(at=at, quantity=not_negative(order, "filled_qty"))


def reason_text(data: Json) -> str | None:
    """Return the reason in the venue's text; the documents name `reason`, some answers have `reject_reason`."""
    return optional_text(data, "reason") or optional_text(data, "reject_reason")


def _reports(data: Json, *, status: str, venue_order_id: str, submitted_at: datetime) -> tuple[Report, ...]:
    accepted = _accepted(data, status=status, venue_order_id=venue_order_id, at=submitted_at)
    end = ENDS.get(status)
    # In front of the end: what has been replaced by another order is not over by that.
    accepted_and_replaced: tuple[Report, ...] = (accepted, *replaced_reports(data))
    if end is None:
        return accepted_and_replaced
    end_at = first_moment(data, _END_TIMES[end], "updated_at", "submitted_at", "created_at")
    # A bust after the end changes `updated_at`, and not the time of the end.
    count = venue_count(data, at=first_moment(data, "updated_at", _END_TIMES[end], "submitted_at", "created_at"))
    over = ended(end, venue_order_id=venue_order_id, at=end_at, stated=reason_text(data), count=count)
    return (over,) if end is End.REJECTED else (*accepted_and_replaced, over)


def _accepted(data: Json, *, status: str, venue_order_id: str, at: datetime) -> OrderAccepted:
    # A new order has "0": that needs no decimal.
    working = status in _WORKING_STATUSES or (
        data.get("filled_qty") not in _NOTHING_FILLED and not_negative(data, "filled_qty") > ZERO
    )
    rank = VenueRank.WORKING if working else VenueRank.ACCEPTED
    return OrderAccepted(venue_order_id=venue_order_id, rank=rank, at=at)


def _terms(data: Json) -> Terms | None:
    """Return the terms; None when they are of a kind that is never sent from here. Raises WireError."""
    side, time_in_force = text(data, "side"), text(data, "time_in_force")
    kind = optional_text(data, "type") or text(data, "order_type")
    if data.get("qty") is None:
        return None
    try:
        return Terms(
            client_order_id=text(data, "client_order_id"),
            # The venue names instruments by symbol; its orders do not contain the ISIN.
            isin=optional_text(data, "isin") or "",
            symbol=text(data, "symbol"),
            side=Side(side.upper()),
            type=OrderType(kind.upper()),
            time_in_force=TimeInForce(time_in_force.upper()),
            quantity=positive(data, "qty"),
            limit_price=None if data.get("limit_price") is None else not_negative(data, "limit_price"),
        )
    except WireError:
        raise
    except ValueError:
        return None


def _unknown_values(data: Json) -> tuple[UnknownValue, ...]:
    return tuple(
        (key, value[:UNKNOWN_VALUE_MAX_CHARACTERS])
        for key, known in _KNOWN_VALUES.items()
        if isinstance(value := data.get(key), str) and value not in known
    )


def _shown_id(data: Json) -> str:
    """Return the venue's id for display, in any form in which it is written."""
    return str(data.get("id", ""))[:ID_MAX_CHARACTERS]
