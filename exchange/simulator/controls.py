"""The controls under /simulator: faults, matching, executions by hand, the journal. They work while /v2 is down.

Each requires the venue's key and secret, as /v2 does: whoever reaches the port must not be able to move its orders.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from functools import partial

from aiohttp import web

from exchange.simulator.answers import json_answer, refused_answer
from exchange.simulator.journal import READ_DEFAULT_ENTRIES, READ_MAX_ENTRIES, Journal, entry_json
from exchange.simulator.keys import VenueKeys
from exchange.simulator.orders import ZERO, Execution, Order
from exchange.simulator.refusals import Code, VenueRefusalError, order_not_found, refusal
from exchange.simulator.requests import parse_limit, parse_object
from exchange.simulator.settings_changes import NumberRange, SettingInvalidError, checked_changes
from exchange.simulator.stream import TradeUpdates
from exchange.simulator.venue import SimulatedVenue
from exchange.simulator.wire_values import decimal_text, parse_decimal

HOLD_SLOT_MAX_SECONDS = 3600

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Controls:
    """Answers every request under /simulator."""

    def __init__(self, venue: SimulatedVenue, *, keys: VenueKeys, updates: TradeUpdates, journal: Journal) -> None:
        self._venue = venue
        self._keys = keys
        self._updates = updates
        self._journal = journal
        self._handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/simulator/faults"): self._get_faults,
            ("PUT", "/simulator/faults"): self._put_faults,
            ("GET", "/simulator/matching"): self._get_matching,
            ("PUT", "/simulator/matching"): self._put_matching,
            ("POST", "/simulator/disconnect"): self._disconnect,
            ("POST", "/simulator/fills"): self._fill,
            ("POST", "/simulator/bust"): partial(self._revise, is_bust=True),
            ("POST", "/simulator/correct"): partial(self._revise, is_bust=False),
            ("POST", "/simulator/close"): self._close_day,
            ("GET", "/simulator/journal"): self._read_journal,
        }

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answers one request; `path` is without the query. A wrong setting is a 400 that names its key."""
        try:
            self._keys.check(request.headers)
            return await self._handler(request.method, path)(request)
        except VenueRefusalError as error:
            return refused_answer(error)
        except SettingInvalidError as error:
            return refused_answer(refusal(Code.BAD_REQUEST, str(error)))

    def _handler(self, method: str, path: str) -> Handler:
        handler = self._handlers.get((method, path))
        if handler is None:
            raise refusal(Code.NOT_FOUND, f"unknown control: {method} {path}")
        return handler

    async def _get_faults(self, _request: web.BaseRequest) -> web.StreamResponse:
        return json_answer(self._venue.faults.as_json())

    async def _put_faults(self, request: web.BaseRequest) -> web.StreamResponse:
        changes = parse_object(await request.read())
        faults = self._venue.faults.changed(changes)
        self._venue.set_faults(faults, is_reseeded="seed" in changes)
        if faults.down:
            self._updates.disconnect(hold_slot_seconds=0)
        return json_answer(faults.as_json())

    async def _get_matching(self, _request: web.BaseRequest) -> web.StreamResponse:
        return json_answer(self._venue.trading.matching.as_json())

    async def _put_matching(self, request: web.BaseRequest) -> web.StreamResponse:
        self._venue.trading.set_matching(self._venue.trading.matching.changed(parse_object(await request.read())))
        return json_answer(self._venue.trading.matching.as_json())

    async def _disconnect(self, request: web.BaseRequest) -> web.StreamResponse:
        rules = {"hold_slot_seconds": NumberRange(0, HOLD_SLOT_MAX_SECONDS)}
        asked = checked_changes(parse_object(await request.read()), rules)
        hold_slot_seconds = asked.get("hold_slot_seconds", 0)
        assert isinstance(hold_slot_seconds, int | float)  # noqa: S101  # The rule above has checked it.
        was_connected = self._updates.disconnect(hold_slot_seconds=hold_slot_seconds)
        return json_answer({"disconnected": int(was_connected)})

    async def _fill(self, request: web.BaseRequest) -> web.StreamResponse:
        """One execution now; by default of all that is left, at the present price.

        With `"force": true` also of an order that has ended, or beyond its quantity, as venues sometimes do.
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

    async def _close_day(self, _request: web.BaseRequest) -> web.StreamResponse:
        return json_answer({"expired": self._venue.close_day()})

    async def _read_journal(self, request: web.BaseRequest) -> web.StreamResponse:
        """The entries after a number; `is_complete` is false when more of them follow."""
        limit = parse_limit(request.query, "limit", default=READ_DEFAULT_ENTRIES, maximum=READ_MAX_ENTRIES)
        text = request.query.get("after", "0")
        if not (text.isascii() and text.isdigit()):
            raise refusal(Code.BAD_REQUEST, "after must be the number of an entry")
        entries = self._journal.read(after=int(text), limit=limit)
        last = len(self._journal)
        return json_answer(
            {
                "entries": [entry_json(entry) for entry in entries],
                "last": last,
                "is_complete": int(text) + len(entries) >= last,
            }
        )

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
