"""FILL activities: the rows of the venue's list of fills. Pure."""

from datetime import datetime
from decimal import Decimal

import orjson

from domain.model.executions import Trade
from domain.model.reports import OrderFilled
from domain.model.values import ZERO
from domain.ports.venue import ListedFill, UnreadableFill, VenueReport
from exchange.alpaca.fields import Json, WireError, as_venue_id, moment, not_negative, positive, text, venue_id

FILL = "FILL"
"""The type of the activities that are fills."""
MILLISECOND = 1_000
"""In microseconds."""


def parse_fill_activity(data: Json) -> ListedFill | None:
    """Return one row of the list of fills; None for an activity of another type. Never raises.

    It names its order only by the venue's id, so it is not decided here whether the order is external.
    """
    activity_type = data.get("activity_type", FILL)
    if isinstance(activity_type, str) and activity_type != FILL:
        return None
    raw = orjson.dumps(data)
    try:
        return _fill_activity(data, raw)
    except WireError as error:
        return UnreadableFill(venue_order_id=_readable_order_id(data), raw=raw, error=str(error))


def _readable_order_id(data: Json) -> str | None:
    try:
        return venue_id(data, "order_id")
    except WireError:
        return None


def execution_id(activity_id: str) -> str:
    """Return the execution's id of an activity's, as of "20190524113406977::<uuid>": the time is the activity's."""
    return activity_id.rpartition("::")[2]


def _fill_activity(data: Json, raw: bytes) -> VenueReport:
    venue_order_id, at = venue_id(data, "order_id"), moment(data, "transaction_time")
    report = OrderFilled(
        venue_execution_id=as_venue_id(execution_id(text(data, "id")), what="id"),
        trade=trade_of(data),
        cumulative_quantity=positive(data, "cum_qty") if data.get("cum_qty") is not None else None,
        venue_order_id=venue_order_id,
        at=at,
    )
    return VenueReport(venue_client_order_id=None, venue_order_id=venue_order_id, reports=(report,), at=at, raw=raw)


def activity_order(report: VenueReport) -> tuple[datetime, Decimal]:
    """How activities are sorted: by millisecond, and within one, where the venue keeps no order, by `cum_qty`."""
    at, cumulative = report.at, ZERO
    for fill in report.reports:
        if isinstance(fill, OrderFilled) and fill.cumulative_quantity is not None:
            cumulative = fill.cumulative_quantity
            break
    return at.replace(microsecond=at.microsecond - at.microsecond % MILLISECOND), cumulative


def trade_of(data: Json) -> Trade:
    """Return the quantity and price of an execution. Raises WireError."""
    return Trade(quantity=positive(data, "qty"), price=not_negative(data, "price"))
