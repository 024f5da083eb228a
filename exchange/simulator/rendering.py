"""The wire's JSON objects: orders, trade updates, activities, assets, positions, account and clock. Pure."""

from datetime import datetime, timedelta
from decimal import Decimal

import orjson

from exchange.simulator.instruments import CURRENCY, Instrument
from exchange.simulator.journal import Entry
from exchange.simulator.orders import ZERO, Execution, Order, OrderType, Status
from exchange.simulator.positions import AccountHolding
from exchange.simulator.wire_values import average_text, decimal_text, time_text

ACCOUNT_ID = "4f1c53a1-8d0f-5d8e-9c7b-0d6c1e0f51a7"
BUYING_POWER = Decimal(1_000_000_000)
NULL_UPDATE = b'{"stream":"trade_updates","data":null}'


def order_json(order: Order, *, is_nested: bool = False) -> dict[str, object]:
    """Return an order with every key of the protocol, null for missing values; nested, with its legs."""
    terms, status, ended_at = order.terms, order.status, time_text(order.ended_at)
    submitted_at = time_text(order.submitted_at)
    legs = [order_json(leg) for leg in order.legs if not leg.is_forgotten] if is_nested else None
    shown: dict[str, object] = {
        "id": order.id,
        "client_order_id": terms.client_order_id,
        "created_at": submitted_at,
        "updated_at": time_text(order.updated_at),
        "submitted_at": submitted_at,
        "filled_at": time_text(order.filled_at),
        "expired_at": ended_at if status is Status.EXPIRED else None,
        "canceled_at": ended_at if status is Status.CANCELED else None,
        "failed_at": ended_at if status is Status.REJECTED else None,
        "replaced_at": ended_at if status is Status.REPLACED else None,
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": terms.instrument.asset_id,
        "symbol": terms.instrument.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": decimal_text(terms.quantity),
        "filled_qty": decimal_text(order.filled_quantity),
        "filled_avg_price": average_text(order.average_price),
        "order_class": "",
        "order_type": terms.order_type,
        "type": terms.order_type,
        "side": terms.side,
        "time_in_force": terms.time_in_force,
        "limit_price": decimal_text(terms.limit_price) if terms.order_type is OrderType.LIMIT else None,
        "stop_price": None,
        "status": status,
        "extended_hours": terms.extended_hours,
        "legs": legs or None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }
    return shown if terms.wire_fields is None else {**shown, **terms.wire_fields}


def trade_update(entry: Entry, *, has_timestamp: bool = True) -> bytes:
    """Return the frame of an event, with the current order; optionally without its time.

    A bust or correction has its own `execution_id`, and names the amended one in `previous_execution_id`, as the broker
    does for its partners. The quantity of a bust is negative.
    """
    data: dict[str, object] = {
        "event": entry.event,
        **({"timestamp": time_text(entry.at)} if has_timestamp else {}),
        "order": order_json(entry.order),
    }
    if entry.execution is not None:
        data["execution_id"] = entry.execution_id
        data["price"] = decimal_text(entry.price)
        data["qty"] = decimal_text(entry.quantity)
        data["position_qty"] = decimal_text(entry.execution.position_quantity)
    if entry.previous_execution_id is not None:
        data["previous_execution_id"] = entry.previous_execution_id
    if entry.reason is not None:
        data["reason"] = entry.reason
    return orjson.dumps({"stream": "trade_updates", "data": data})


_WITHOUT_MARKS = str.maketrans("", "", "-T:.")


def activity_json(execution: Execution) -> dict[str, object]:
    """Return a FILL activity. Its id contains the execution's id after the time."""
    order, at = execution.order, time_text(execution.at)
    is_last = not execution.leaves_quantity
    return {
        "activity_type": "FILL",
        # The time's digits down to the millisecond.
        "id": f"{at[:23].translate(_WITHOUT_MARKS)}::{execution.id}",
        "account_id": ACCOUNT_ID,
        "cum_qty": decimal_text(execution.cumulative_quantity),
        "leaves_qty": decimal_text(execution.leaves_quantity),
        "price": decimal_text(execution.price),
        "qty": decimal_text(execution.quantity),
        "side": order.terms.side,
        "symbol": order.terms.instrument.symbol,
        "transaction_time": at,
        "order_id": order.id,
        "type": "fill" if is_last else "partial_fill",
        "order_status": Status.FILLED if is_last else Status.PARTIALLY_FILLED,
    }


def asset_json(instrument: Instrument) -> dict[str, object]:
    """Return an asset, with fields that the broker does not have: ISIN, currency, tick and lot size."""
    return {
        "id": instrument.asset_id,
        "class": "us_equity",
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "name": instrument.name,
        "status": "active" if instrument.tradable else "inactive",
        "tradable": instrument.tradable,
        "marginable": instrument.tradable,
        "shortable": instrument.tradable,
        "easy_to_borrow": instrument.tradable,
        "fractionable": False,
        "attributes": [],
        "isin": instrument.isin,
        "currency": instrument.currency,
        "tick_size": decimal_text(instrument.tick_size),
        "lot_size": decimal_text(instrument.lot_size),
    }


def position_json(instrument: Instrument, position: AccountHolding, *, price: Decimal) -> dict[str, object]:
    """Return a position at the current price."""
    return {
        "asset_id": instrument.asset_id,
        "symbol": instrument.symbol,
        "exchange": instrument.exchange,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": decimal_text(position.quantity),
        "qty_available": decimal_text(position.quantity),
        "avg_entry_price": average_text(position.average_entry_price),
        "side": "long" if position.quantity > ZERO else "short",
        "market_value": decimal_text(position.quantity * price),
        "cost_basis": decimal_text(position.cost),
        "unrealized_pl": decimal_text(position.quantity * price - position.cost),
        "current_price": decimal_text(price),
    }


def account_json(*, opened_at: datetime) -> dict[str, object]:
    """Return the account. Its buying power is the limit of one order and is never used up, so that runs can be long."""
    funds = decimal_text(BUYING_POWER)
    return {
        "id": ACCOUNT_ID,
        "account_number": "SIMULATOR",
        "status": "ACTIVE",
        "currency": CURRENCY,
        "buying_power": funds,
        "cash": funds,
        "equity": funds,
        "portfolio_value": funds,
        "multiplier": "1",
        "shorting_enabled": True,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "created_at": time_text(opened_at),
    }


def clock_json(now: datetime) -> dict[str, object]:
    """Return the clock: the exchange is always open; its trading day ends at midnight UTC, when DAY orders expire."""
    midnight = next_close(now)
    return {
        "timestamp": time_text(now),
        "is_open": True,
        "next_open": time_text(midnight),
        "next_close": time_text(midnight),
    }


def next_close(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
