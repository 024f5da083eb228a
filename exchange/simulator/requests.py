"""Parses the bodies and queries of the wire protocol into the exchange's own values, or refuses them. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

import orjson

from exchange.simulator.book import OrderQuery
from exchange.simulator.instruments import Instrument
from exchange.simulator.orders import OrderTerms, OrderType, Side, TimeInForce, shared
from exchange.simulator.refusals import Code, refusal
from exchange.simulator.wire_values import parse_decimal, parse_time

CLIENT_ORDER_ID_MAX_CHARACTERS = 128
QUANTITY_MAX = Decimal(1_000_000_000)
PRICE_MAX = Decimal(10_000_000)
ORDERS_DEFAULT_LIMIT = 50
ORDERS_MAX_LIMIT = 500

_Word = TypeVar("_Word", bound=StrEnum)
_UNSUPPORTED = ("notional", "stop_price", "trail_price", "trail_percent", "take_profit", "stop_loss", "legs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What a replace request changes; None keeps what the order had."""

    quantity: Decimal | None
    limit_price: Decimal | None
    time_in_force: TimeInForce | None
    client_order_id: str | None


def parse_object(body: bytes) -> dict[str, object]:
    """Return the JSON object of a request's body; an empty body is an empty object."""
    parsed = parse_json(body or b"{}")
    if not isinstance(parsed, dict):
        raise refusal(Code.BAD_REQUEST, "request body must be a JSON object")
    return parsed


def parse_json(body: bytes) -> object:
    """Return the JSON value of a request's body."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise refusal(Code.BAD_REQUEST, f"request body format is invalid: {error}") from error


def parse_terms(
    fields: Mapping[str, object], *, instruments: Mapping[str, Instrument], new_id: Callable[[], str]
) -> OrderTerms:
    """Return the terms of a new order. `new_id` makes the client order id where the client sends none."""
    for key in _UNSUPPORTED:
        if fields.get(key) is not None:
            raise refusal(Code.INVALID, f"{key} is not supported")
    if fields.get("order_class") not in {None, "", "simple"}:
        raise refusal(Code.INVALID, "order_class must be simple")
    instrument = _instrument(fields.get("symbol"), instruments)
    order_type = _word(fields.get("type"), OrderType, "type")
    return OrderTerms(
        instrument=instrument,
        side=_word(fields.get("side"), Side, "side"),
        order_type=order_type,
        time_in_force=_word(fields.get("time_in_force"), TimeInForce, "time_in_force"),
        quantity=_quantity(fields.get("qty"), instrument),
        limit_price=_limit_price(fields.get("limit_price"), order_type, instrument),
        client_order_id=_client_order_id(fields.get("client_order_id")) or new_id(),
        extended_hours=fields.get("extended_hours") is True,
    )


def parse_replacement(fields: Mapping[str, object], *, replaced: OrderTerms) -> Replacement:
    """Return the changes that a replace request makes to these terms."""
    for key in ("stop_price", "trail"):
        if fields.get(key) is not None:
            raise refusal(Code.INVALID, f"{key} is not supported")
    instrument, order_type = replaced.instrument, replaced.order_type
    quantity, price, tif = fields.get("qty"), fields.get("limit_price"), fields.get("time_in_force")
    return Replacement(
        quantity=None if quantity is None else _quantity(quantity, instrument),
        limit_price=None if price is None else _limit_price(price, order_type, instrument),
        time_in_force=None if tif is None else _word(tif, TimeInForce, "time_in_force"),
        client_order_id=_client_order_id(fields.get("client_order_id")),
    )


def parse_order_query(query: Mapping[str, str]) -> OrderQuery:
    """Return the filter and the page of an order list."""
    status = query.get("status", "open")
    if status not in {"open", "closed", "all"}:
        raise refusal(Code.INVALID, "status must be open, closed or all")
    symbols = query.get("symbols")
    side = query.get("side")
    return OrderQuery(
        is_open=None if status == "all" else status == "open",
        limit=parse_limit(query, "limit", default=ORDERS_DEFAULT_LIMIT, maximum=ORDERS_MAX_LIMIT),
        after=parse_time_parameter(query, "after"),
        until=parse_time_parameter(query, "until"),
        newest_first=parse_newest_first(query),
        symbols=None if not symbols else frozenset(symbols.split(",")),
        side=None if side is None else _word(side, Side, "side"),
        is_nested=parse_nested(query),
    )


def parse_nested(query: Mapping[str, str]) -> bool:
    """Return whether legs are nested under their order. The SDK writes True."""
    return query.get("nested", "").lower() == "true"


def parse_limit(query: Mapping[str, str], key: str, *, default: int, maximum: int) -> int:
    """Return a page's size, from 1 to the maximum."""
    text = query.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= maximum):
        raise refusal(Code.INVALID, f"{key} must be from 1 to {maximum}")
    return int(text)


def parse_newest_first(query: Mapping[str, str]) -> bool:
    direction = query.get("direction", "desc")
    if direction not in {"asc", "desc"}:
        raise refusal(Code.INVALID, "direction must be asc or desc")
    return direction == "desc"


def parse_time_parameter(query: Mapping[str, str], key: str) -> datetime | None:
    text = query.get(key)
    if text is None:
        return None
    # A plus sign that was not percent-encoded arrives as a space.
    parsed = parse_time(text.replace(" ", "+"))
    if parsed is None:
        raise refusal(Code.INVALID, f"{key} must be an RFC 3339 time")
    return parsed


def _instrument(symbol: object, instruments: Mapping[str, Instrument]) -> Instrument:
    if not isinstance(symbol, str) or not symbol:
        raise refusal(Code.INVALID, "symbol is required")
    instrument = instruments.get(symbol)
    if instrument is None:
        raise refusal(Code.UNPROCESSABLE, f'asset "{symbol}" not found')
    if not instrument.tradable:
        raise refusal(Code.UNPROCESSABLE, f'asset "{symbol}" is not tradable')
    return instrument


def _word(value: object, words: type[_Word], key: str) -> _Word:
    known = [word.value for word in words]
    if value is None:
        raise refusal(Code.INVALID, f"{key} is required")
    if value not in known:
        raise refusal(Code.INVALID, f"invalid {key}: must be one of {', '.join(known)}")
    return words(value)


def _quantity(value: object, instrument: Instrument) -> Decimal:
    if value is None:
        raise refusal(Code.INVALID, "qty is required")
    quantity = parse_decimal(value)
    if quantity is None or not 0 < quantity <= QUANTITY_MAX:
        raise refusal(Code.INVALID, f"qty must be a number greater than 0 and at most {QUANTITY_MAX}")
    if quantity % instrument.lot_size:
        raise refusal(Code.INVALID, f"qty must be a multiple of the lot size {instrument.lot_size}")
    return shared(quantity)


def _limit_price(value: object, order_type: OrderType, instrument: Instrument) -> Decimal | None:
    if order_type is OrderType.MARKET:
        if value is not None:
            raise refusal(Code.INVALID, "market orders must not have a limit_price")
        return None
    if value is None:
        raise refusal(Code.INVALID, "limit orders require a limit_price")
    price = parse_decimal(value)
    if price is None or not 0 < price <= PRICE_MAX:
        raise refusal(Code.INVALID, f"limit_price must be a number greater than 0 and at most {PRICE_MAX}")
    if price % instrument.tick_size:
        raise refusal(Code.INVALID, f"limit_price must be a multiple of the tick size {instrument.tick_size}")
    return shared(price)


def _client_order_id(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > CLIENT_ORDER_ID_MAX_CHARACTERS:
        limit = CLIENT_ORDER_ID_MAX_CHARACTERS
        raise refusal(Code.INVALID, f"client_order_id must be a string of at most {limit} characters")
    return value
