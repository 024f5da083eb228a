"""Orders between the venue's JSON and the domain. Pure."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from domain.model.order import End, VenueRank
from domain.model.reports import OrderAccepted, OrderEnded, Report
from domain.model.values import ZERO, OrderType, Reason, ReasonSource, Side, Terms, TimeInForce, format_decimal
from domain.ports.venue import VenueOrder
from exchange.alpaca.fields import (
    Json,
    WireError,
    first_moment,
    not_negative,
    optional_text,
    our_order_id,
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


def order_json(order_id: UUID, terms: Terms) -> dict[str, str]:
    """The body that places an order; our order id is the venue's client order id."""
    body = {
        "client_order_id": str(order_id),
        "symbol": terms.symbol,
        "side": terms.side.value.lower(),
        "type": terms.type.value.lower(),
        "time_in_force": terms.time_in_force.value.lower(),
        "qty": format_decimal(terms.quantity),
    }
    if terms.limit_price is not None:
        body["limit_price"] = format_decimal(terms.limit_price)
    return body


def parse_order(data: Json) -> VenueOrder:
    """An order of a REST answer. Raises WireError, also for kinds of order that this system never sends."""
    venue_order_id, submitted_at = venue_id(data, "id"), first_moment(data, "submitted_at", "created_at")
    status = text(data, "status")
    return VenueOrder(
        order_id=our_order_id(optional_text(data, "client_order_id")),
        venue_order_id=venue_order_id,
        terms=_terms(data),
        filled_quantity=not_negative(data, "filled_qty"),
        # A status that is not in the documents is taken as open: then the order is looked at again.
        is_open=status not in ENDS and status != "filled",
        reports=_reports(data, status=status, venue_order_id=venue_order_id, submitted_at=submitted_at),
        submitted_at=submitted_at,
    )


def parse_acceptance(data: Json, *, order_id: UUID) -> OrderAccepted:
    """The answer to a placement. Raises WireError when it does not speak of this order."""
    if data.get("client_order_id") != str(order_id):
        raise WireError("the answer names another order")
    return _accepted(
        data,
        status=optional_text(data, "status") or "",
        venue_order_id=venue_id(data, "id"),
        at=first_moment(data, "submitted_at", "created_at"),
    )


def ended(end: End, *, venue_order_id: str, at: datetime, stated: str | None) -> OrderEnded:
    """The end of an order with the venue's reason; `told` is its own text, where it gives one."""
    message = stated or _END_MESSAGES[end]
    reason = Reason(source=ReasonSource.VENUE, code=f"VENUE_{end.value}", message=message)
    return OrderEnded(end=end, reason=reason, venue_order_id=venue_order_id, at=at)


def reason_text(data: Json) -> str | None:
    """Why, in the venue's own words; the documents name `reason`, some answers have `reject_reason`."""
    return optional_text(data, "reason") or optional_text(data, "reject_reason")


def _reports(data: Json, *, status: str, venue_order_id: str, submitted_at: datetime) -> tuple[Report, ...]:
    accepted = _accepted(data, status=status, venue_order_id=venue_order_id, at=submitted_at)
    end = ENDS.get(status)
    if end is None:
        return (accepted,)
    end_at = first_moment(data, _END_TIMES[end], "updated_at", "submitted_at", "created_at")
    over = ended(end, venue_order_id=venue_order_id, at=end_at, stated=reason_text(data))
    return (over,) if end is End.REJECTED else (accepted, over)


def _accepted(data: Json, *, status: str, venue_order_id: str, at: datetime) -> OrderAccepted:
    # A fresh order has "0": that needs no decimal.
    working = status in _WORKING_STATUSES or (
        data.get("filled_qty") not in _NOTHING_FILLED and not_negative(data, "filled_qty") > ZERO
    )
    rank = VenueRank.WORKING if working else VenueRank.ACCEPTED
    return OrderAccepted(venue_order_id=venue_order_id, rank=rank, at=at)


def _terms(data: Json) -> Terms:
    try:
        side = Side(text(data, "side").upper())
        kind = OrderType((optional_text(data, "type") or text(data, "order_type")).upper())
        time_in_force = TimeInForce(text(data, "time_in_force").upper())
    except WireError:
        raise
    except ValueError as error:
        raise WireError(f"a kind of order that is never sent from here: {error}") from None
    return Terms(
        client_order_id=text(data, "client_order_id"),
        # The venue names instruments by symbol; its orders do not tell the ISIN.
        isin=optional_text(data, "isin") or "",
        symbol=text(data, "symbol"),
        side=side,
        type=kind,
        time_in_force=time_in_force,
        quantity=positive(data, "qty"),
        limit_price=None if data.get("limit_price") is None else not_negative(data, "limit_price"),
    )
