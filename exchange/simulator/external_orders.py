"""External orders: placed on the account by another client, of any kind that the wire format has. Pure.

The exchange uses only the fields needed to fill and end it: side, quantity, limit price and the day. Everything given
is returned unchanged on the wire, also an unknown type, time in force or order class.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from exchange.simulator.instruments import Instrument, unlisted_instrument
from exchange.simulator.orders import OrderTerms, OrderType, Side, TimeInForce
from exchange.simulator.refusals import Code, refusal
from exchange.simulator.requests import QUANTITY_MAX, Replacement
from exchange.simulator.wire_values import decimal_text, parse_decimal

LEGS_MAX = 4
SHARE_SCALE = Decimal("0.000000001")

_NUMBERS = frozenset({"qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent", "hwm"})
# Not returned as given: the exchange generates them, or they are the control's own.
_OWN = frozenset({"id", "status", "filled_qty", "filled_avg_price", "replaces", "replaced_by"}) | {
    f"{moment}_at"
    for moment in ("created", "updated", "submitted", "filled", "expired", "canceled", "failed", "replaced")
}
_NOT_SHOWN = frozenset({"client_order_id", "fill", "legs", "take_profit", "stop_loss"})
_TIMES_IN_FORCE: dict[object, TimeInForce] = {each.value: each for each in TimeInForce}
_OF_THE_GROUP = ("symbol", "qty", "notional", "time_in_force", "order_class", "extended_hours", "asset_class")

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalOrder:
    """An order, its legs, and whether it is filled as soon as it is accepted."""

    terms: OrderTerms
    legs: tuple[OrderTerms, ...]
    is_filled_at_once: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalOrderReader:
    """Reader of external orders. `price` returns the current price, which converts a notional into a quantity."""

    instruments: Mapping[str, Instrument]
    price: Callable[[Instrument], Decimal]
    new_id: Callable[[], str]

    def read(self, fields: Fields) -> ExternalOrder:
        """Return the order of the control's body.

        Raises:
            VenueRefusalError: a field is missing, unusable, or the exchange's own.
        """
        legs = _leg_fields(fields)
        if len(legs) > LEGS_MAX:
            raise refusal(Code.BAD_REQUEST, f"an order has at most {LEGS_MAX} legs")
        return ExternalOrder(
            terms=self._terms(fields),
            legs=tuple(self._terms(leg) for leg in legs),
            is_filled_at_once=fields.get("fill") is True,
        )

    def _terms(self, fields: Fields) -> OrderTerms:
        symbol = _text(fields, "symbol")
        instrument = self.instruments.get(symbol) or unlisted_instrument(symbol)
        limit_price = _number(fields, "limit_price")
        return OrderTerms(
            client_order_id=_text(fields, "client_order_id", default=self.new_id()),
            instrument=instrument,
            side=Side.SELL if _text(fields, "side").startswith("sell") else Side.BUY,
            order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            # An unknown one ends with the day.
            time_in_force=_TIMES_IN_FORCE.get(fields.get("time_in_force"), TimeInForce.DAY),
            quantity=self._quantity(fields, limit_price or self.price(instrument)),
            limit_price=limit_price,
            extended_hours=fields.get("extended_hours") is True,
            wire_fields=_wire_fields(fields),
        )

    def _quantity(self, fields: Fields, price: Decimal) -> Decimal:
        """Return the quantity of shares, or notional / price, to nine places."""
        quantity, notional = _number(fields, "qty"), _number(fields, "notional")
        if quantity is None and notional is not None:
            quantity = (notional / price).quantize(SHARE_SCALE, rounding=ROUND_DOWN)
        if quantity is None:
            raise refusal(Code.INVALID, "qty or notional is required")
        if not 0 < quantity <= QUANTITY_MAX:
            raise refusal(Code.INVALID, f"the quantity must be greater than 0 and at most {QUANTITY_MAX}")
        return quantity


def successor_fields(replaced: Fields | None, change: Replacement) -> Fields | None:
    """Return the wire fields of the order that replaces one with these: without those that the change has decided."""
    decided = {"qty", "notional"}
    if change.limit_price is not None:
        decided.add("limit_price")
    if change.time_in_force is not None:
        decided.add("time_in_force")
    return None if replaced is None else {key: value for key, value in replaced.items() if key not in decided}


def _leg_fields(fields: Fields) -> list[Fields]:
    """Return the fields of each leg: take profit, stop loss, then those listed. A leg has the opposite side."""
    take_profit, stop_loss, listed = fields.get("take_profit"), fields.get("stop_loss"), fields.get("legs") or []
    given: list[object] = [*listed] if isinstance(listed, list) else [listed]
    if isinstance(stop_loss, dict):
        given.insert(0, {"type": "stop_limit" if stop_loss.get("limit_price") is not None else "stop", **stop_loss})
    if isinstance(take_profit, dict):
        given.insert(0, {"type": "limit", **take_profit})
    shared = {key: fields[key] for key in _OF_THE_GROUP if fields.get(key) is not None}
    shared["side"] = "buy" if str(fields.get("side")).startswith("sell") else "sell"
    legs: list[Fields] = []
    for leg in given:
        if not isinstance(leg, dict) or leg.get("legs"):
            raise refusal(Code.BAD_REQUEST, "a leg must be an object without legs of its own")
        legs.append({**shared, **leg})
    return legs


def _wire_fields(fields: Fields) -> dict[str, object]:
    """Return what the order shows as it was given, numbers as the wire writes them."""
    for key in fields:
        if key in _OWN:
            raise refusal(Code.BAD_REQUEST, f"{key} is made by the exchange and cannot be given")
    shown = {key: value for key, value in fields.items() if key not in _NOT_SHOWN | _NUMBERS}
    shown |= {key: decimal_text(_number(fields, key)) for key in _NUMBERS if key in fields}
    if fields.get("qty") is None:
        shown["qty"] = None
    order_type = fields.get("type", fields.get("order_type", OrderType.MARKET))
    return {**shown, "type": order_type, "order_type": order_type}


def _text(fields: Fields, key: str, *, default: str | None = None) -> str:
    value = default if fields.get(key) is None else fields[key]
    if not isinstance(value, str) or (default is None and not value):
        raise refusal(Code.INVALID, f"{key} is required, as a string")
    return value


def _number(fields: Fields, key: str) -> Decimal | None:
    value = fields.get(key)
    number = parse_decimal(value)
    if value is not None and number is None:
        raise refusal(Code.INVALID, f"{key} must be a number")
    return number
