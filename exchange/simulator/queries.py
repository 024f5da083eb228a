"""The reading half of the REST interface: orders, assets, positions, activities, account and clock."""

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from exchange.simulator.book import ExecutionQuery
from exchange.simulator.instruments import Instrument, unlisted_instrument
from exchange.simulator.orders import Execution
from exchange.simulator.refusals import Code, refusal
from exchange.simulator.rendering import account_json, activity_json, asset_json, clock_json, order_json, position_json
from exchange.simulator.requests import (
    parse_limit,
    parse_nested,
    parse_newest_first,
    parse_order_query,
    parse_time_parameter,
)
from exchange.simulator.venue import SimulatedVenue

ACTIVITIES_MAX_PAGE_SIZE = 100

Query = Mapping[str, str]


class Queries:
    """Answers the GET requests; none of them changes anything."""

    def __init__(self, venue: SimulatedVenue) -> None:
        self._venue = venue
        self._by_asset_id = {each.asset_id: each for each in venue.instruments.values()}
        self._collections: dict[str, Callable[[Query], object]] = {
            "/v2/orders": self._orders,
            "/v2/orders:by_client_order_id": self._order_by_client_order_id,
            "/v2/assets": self._assets,
            "/v2/positions": self._positions,
            "/v2/account": self._account,
            "/v2/account/activities": self._activities,
            "/v2/account/activities/FILL": self._activities,
            "/v2/clock": self._clock,
        }
        self._items: dict[str, Callable[[str, Query], object]] = {
            "/v2/orders": self._order,
            "/v2/assets": self._asset,
            "/v2/positions": self._position,
        }

    def answer(self, path: str, query: Query) -> object:
        """Return the JSON value of a request.

        Raises:
            RequestRefusedError: 404 or 422.
        """
        collection = self._collections.get(path)
        if collection is not None:
            return collection(query)
        folder, _, name = path.rpartition("/")
        item = self._items.get(folder)
        if item is None:
            raise refusal(Code.NOT_FOUND, f"endpoint not found: {path}")
        return item(unquote(name), query)

    def _orders(self, query: Query) -> object:
        page = parse_order_query(query)
        found = self._venue.book.list_orders(page, now=self._venue.now())
        return [order_json(order, is_nested=page.is_nested) for order in found]

    def _order(self, order_id: str, query: Query) -> object:
        order = self._venue.find_visible(self._venue.book.find(order_id), wanted=order_id)
        return order_json(order, is_nested=parse_nested(query))

    def _order_by_client_order_id(self, query: Query) -> object:
        wanted = query.get("client_order_id", "")
        return order_json(self._venue.find_visible(self._venue.book.find_by_client_order_id(wanted), wanted=wanted))

    def _assets(self, query: Query) -> object:
        status = query.get("status")
        exchange = query.get("exchange")
        return [
            asset_json(each)
            for each in self._venue.instruments.values()
            if (status is None or (status == "active") is each.tradable)
            and (exchange is None or exchange == each.exchange)
        ]

    def _asset(self, symbol_or_id: str, _query: Query) -> object:
        return asset_json(self._instrument(symbol_or_id))

    def _positions(self, query: Query) -> object:
        held = self._venue.book.positions
        return [self._position(symbol, query) for symbol, position in held.items() if position.quantity]

    def _position(self, symbol_or_id: str, _query: Query) -> object:
        is_held = symbol_or_id in self._venue.book.positions
        is_unlisted = is_held and symbol_or_id not in self._venue.instruments
        instrument = unlisted_instrument(symbol_or_id) if is_unlisted else self._instrument(symbol_or_id)
        position = self._venue.book.positions.get(instrument.symbol)
        if position is None or not position.quantity:
            raise refusal(Code.NOT_FOUND, "position does not exist")
        return position_json(instrument, position, price=self._venue.trading.market.price(instrument))

    def _instrument(self, symbol_or_id: str) -> Instrument:
        found = self._venue.instruments.get(symbol_or_id) or self._by_asset_id.get(symbol_or_id)
        if found is None:
            raise refusal(Code.NOT_FOUND, f"asset not found for {symbol_or_id}")
        return found

    def _account(self, _query: Query) -> object:
        return account_json(opened_at=self._venue.opened_at)

    def _clock(self, _query: Query) -> object:
        return clock_json(self._venue.now())

    def _activities(self, query: Query) -> object:
        page = ExecutionQuery(
            limit=parse_limit(query, "page_size", default=ACTIVITIES_MAX_PAGE_SIZE, maximum=ACTIVITIES_MAX_PAGE_SIZE),
            after=parse_time_parameter(query, "after"),
            until=parse_time_parameter(query, "until"),
            newest_first=parse_newest_first(query),
            from_execution=self._execution_of_token(query.get("page_token")),
            order_id=query.get("order_id"),
            is_listed=self._venue.listing.rule(now=self._venue.now(), is_by_order="order_id" in query),
        )
        return [activity_json(execution) for execution in self._venue.book.list_executions(page)]

    def _execution_of_token(self, token: str | None) -> Execution | None:
        """Return the execution that an activity's id names: the last one of the previous page."""
        if not token:
            return None
        execution = self._venue.book.find_execution(token.partition("::")[2])
        if execution is None:
            raise refusal(Code.INVALID, "page_token must be the id of an activity")
        return execution
