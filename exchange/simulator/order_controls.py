"""The controls of orders and executions: what the market, the venue's staff or another client of the account do."""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from functools import partial

from aiohttp import web

from exchange.simulator.answers import json_answer
from exchange.simulator.external_orders import ExternalOrderReader
from exchange.simulator.instruments import Instrument, unlisted_instrument
from exchange.simulator.orders import ZERO, Execution, Order, Status, restated
from exchange.simulator.refusals import Code, order_not_found, refusal
from exchange.simulator.rendering import order_json
from exchange.simulator.requests import parse_object
from exchange.simulator.settings_changes import Choice, Flag
from exchange.simulator.venue import SimulatedVenue
from exchange.simulator.wire_values import decimal_text, parse_decimal

ORDER_FOLDER = "/simulator/orders/"

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class OrderControls:
    """Answers the controls that change orders."""

    def __init__(self, venue: SimulatedVenue, *, new_id: Callable[[], str]) -> None:
        self._venue = venue
        self._external = ExternalOrderReader(
            instruments=venue.instruments, price=venue.trading.market.price, new_id=new_id
        )
        self.handlers: dict[tuple[str, str], Handler] = {
            ("POST", "/simulator/orders"): self._place_external,
            ("POST", "/simulator/fills"): self._fill,
            ("POST", "/simulator/bust"): partial(self._revise, is_bust=True),
            ("POST", "/simulator/correct"): partial(self._revise, is_bust=False),
            ("POST", "/simulator/restate"): self._restate,
            ("POST", "/simulator/cancels"): self._decide_cancels,
            ("POST", "/simulator/session"): self._end_session,
            ("POST", "/simulator/close"): self._close_day,
        }

    async def forget(self, request: web.BaseRequest) -> web.StreamResponse:
        """Make the venue forget the order of the path."""
        order_id = request.path.removeprefix(ORDER_FOLDER)
        self._venue.forget(self._order({"order_id": order_id}))
        return json_answer({"order_id": order_id})

    async def _place_external(self, request: web.BaseRequest) -> web.StreamResponse:
        """Accept an external order; answers with the order and its legs, as they are after the events of it."""
        order = self._venue.place_external(self._external.read(parse_object(await request.read())))
        return json_answer(order_json(order, is_nested=True))

    async def _fill(self, request: web.BaseRequest) -> web.StreamResponse:
        """Execute once now; by default the whole remainder, at the current price.

        With `"force": true` also for an order that has ended, or beyond its quantity, as venues sometimes do.
        """
        fields = parse_object(await request.read())
        order = self._order(fields)
        quantity = _number(fields, "qty", default=order.leaves_quantity)
        price = _number(fields, "price", default=self._venue.trading.market.price(order.terms.instrument))
        if fields.get("force") is not True:
            _check_fillable(order, quantity)
        execution = self._venue.trading.execute(order, quantity=quantity, price=price)
        return json_answer(_execution_json(execution))

    async def _revise(self, request: web.BaseRequest, *, is_bust: bool) -> web.StreamResponse:
        """Undoes the execution of `execution_id`, or changes its `qty` and `price`."""
        fields = parse_object(await request.read())
        execution = self._venue.book.find_execution(str(fields.get("execution_id")))
        if execution is None or execution.is_busted:
            raise refusal(Code.NOT_FOUND, "execution not found, or busted already")
        quantity = ZERO if is_bust else _number(fields, "qty", default=execution.quantity)
        price = execution.price if is_bust else _number(fields, "price", default=execution.price)
        self._venue.trading.revise(execution, quantity=quantity, price=price)
        return json_answer(_execution_json(execution))

    async def _restate(self, request: web.BaseRequest) -> web.StreamResponse:
        """Change `qty`, `symbol` or `limit_price` of an open order, which the stream sends as `restated`."""
        fields = parse_object(await request.read())
        order, symbol = self._order(fields), fields.get("symbol")
        if symbol is not None and not (isinstance(symbol, str) and symbol):
            raise refusal(Code.BAD_REQUEST, "symbol must be a string")
        quantity, limit_price = _optional_number(fields, "qty"), _optional_number(fields, "limit_price")
        if limit_price is not None and order.terms.limit_price is None:
            raise refusal(Code.BAD_REQUEST, "the order has no limit_price")
        if quantity is None and symbol is None and limit_price is None:
            raise refusal(Code.BAD_REQUEST, "qty, symbol or limit_price is required")
        _check_open(order)
        if quantity is not None and quantity < order.filled_quantity:
            raise refusal(Code.UNPROCESSABLE, "qty must not be less than filled_qty")
        terms = restated(order.terms, instrument=self._instrument(order, symbol), quantity=quantity, price=limit_price)
        self._venue.trading.restate(order, terms)
        return json_answer(order_json(order))

    def _instrument(self, order: Order, symbol: str | None) -> Instrument:
        if symbol is None:
            return order.terms.instrument
        return self._venue.instruments.get(symbol) or unlisted_instrument(symbol)

    async def _decide_cancels(self, request: web.BaseRequest) -> web.StreamResponse:
        """Carry out the pending cancel request of one order, or of all; with `"refuse": true` refuse it."""
        fields = parse_object(await request.read())
        is_of_one = "order_id" in fields or "client_order_id" in fields
        orders = [self._order(fields)] if is_of_one else self._venue.book.open_orders()
        is_refused = Flag().check("refuse", fields.get("refuse", False))
        pending = [order for order in orders if order.is_open and order.status is Status.PENDING_CANCEL]
        for order in pending:
            self._venue.trading.decide_cancel(order, is_refused=is_refused)
        return json_answer({"decided": len(pending)})

    async def _end_session(self, request: web.BaseRequest) -> web.StreamResponse:
        """End the trading day: open DAY orders expire, or are canceled, as venues do either."""
        fields = parse_object(await request.read())
        status = Status(Choice((Status.EXPIRED, Status.CANCELED)).check("status", fields.get("status", Status.EXPIRED)))
        if not Flag().check("end", fields.get("end")):
            raise refusal(Code.BAD_REQUEST, "end must be true: nothing else can be done to a session")
        return json_answer({"ended": self._venue.close_day(status=status)})

    async def _close_day(self, _request: web.BaseRequest) -> web.StreamResponse:
        return json_answer({"expired": self._venue.close_day()})

    def _order(self, fields: Mapping[str, object]) -> Order:
        order_id, client_order_id = fields.get("order_id"), fields.get("client_order_id")
        if isinstance(order_id, str):
            order = self._venue.book.find(order_id)
        elif isinstance(client_order_id, str):
            order = self._venue.book.find_by_client_order_id(client_order_id)
        else:
            raise refusal(Code.BAD_REQUEST, "order_id or client_order_id is required")
        if order is None:
            raise order_not_found(str(order_id or client_order_id))
        return order


def _check_open(order: Order) -> None:
    if not order.is_open:
        raise refusal(Code.UNPROCESSABLE, f'order is already in "{order.status}" state')


def _check_fillable(order: Order, quantity: Decimal) -> None:
    if not order.is_open:
        raise refusal(Code.UNPROCESSABLE, f'order is already in "{order.status}" state; give "force": true to fill it')
    if quantity > order.leaves_quantity:
        raise refusal(Code.UNPROCESSABLE, 'qty is more than what is left; give "force": true to fill it')


def _number(fields: Mapping[str, object], key: str, *, default: Decimal) -> Decimal:
    value = fields.get(key)
    number = default if value is None else parse_decimal(value)
    if number is None or number <= 0:
        raise refusal(Code.BAD_REQUEST, f"{key} must be a number greater than 0")
    return number


def _optional_number(fields: Mapping[str, object], key: str) -> Decimal | None:
    return None if fields.get(key) is None else _number(fields, key, default=ZERO)


def _execution_json(execution: Execution) -> dict[str, object]:
    return {
        "execution_id": execution.id,
        "order_id": execution.order.id,
        "client_order_id": execution.order.terms.client_order_id,
        "qty": decimal_text(execution.quantity),
        "price": decimal_text(execution.price),
        "filled_qty": decimal_text(execution.order.filled_quantity),
        "status": execution.order.status,
    }
