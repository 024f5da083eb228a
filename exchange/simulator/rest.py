"""The broker's REST interface, under /v2.

A request passes the rate limit, the check of keys, the outage and the latency; then its handler. A submission also
passes its drawn faults. Handlers raise `VenueRefusalError` for every documented refusal.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import web

from exchange.simulator.answers import gateway_answer, json_answer, refused_answer
from exchange.simulator.faults import PlacementAnswer
from exchange.simulator.keys import VenueKeys
from exchange.simulator.orders import Order
from exchange.simulator.queries import Queries
from exchange.simulator.rate_limit import RateLimit
from exchange.simulator.refusals import (
    Code,
    VenueRefusalError,
    exchange_is_down,
    exchange_refused,
    order_not_found,
    refusal,
)
from exchange.simulator.rendering import order_json
from exchange.simulator.requests import parse_object, parse_replacement, parse_terms
from exchange.simulator.venue import SimulatedVenue

ORDERS_PATH = "/v2/orders"
ORDER_FOLDER = "/v2/orders/"

Handler = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse]]


class Rest:
    """Answers every request under /v2."""

    def __init__(self, venue: SimulatedVenue, *, keys: VenueKeys, new_id: Callable[[], str]) -> None:
        self._venue = venue
        self._keys = keys
        self._new_id = new_id
        self._queries = Queries(venue)
        self._rate_limit = RateLimit()
        self._order_changes: dict[str, Handler] = {"PATCH": self._replace, "DELETE": self._cancel}

    async def handle(
        self, request: web.BaseRequest, path: str, *, is_answer_replaced: bool = False
    ) -> web.StreamResponse:
        """Answer one request; `path` is without the query. `is_answer_replaced`: the client gets another answer."""
        limit = self._venue.faults.requests_per_minute
        if not limit:
            return await self._answer(request, path, is_answer_replaced=is_answer_replaced)
        # By the exchange's own clock, on which its reset time is based.
        is_allowed, headers = self._rate_limit.take(limit=limit, now_seconds=self._venue.now().timestamp())
        if is_allowed:
            response = await self._answer(request, path, is_answer_replaced=is_answer_replaced)
        else:
            response = refused_answer(refusal(Code.TOO_MANY_REQUESTS, "too many requests."))
        response.headers.update(headers)
        return response

    async def _answer(self, request: web.BaseRequest, path: str, *, is_answer_replaced: bool) -> web.StreamResponse:
        try:
            self._check_open(request)
            if path == ORDERS_PATH and request.method == "POST":
                return await self._place(request, is_answer_replaced=is_answer_replaced)
            return await self._dispatch(request, path)
        except VenueRefusalError as error:
            return refused_answer(error)

    def _check_open(self, request: web.BaseRequest) -> None:
        # A gateway in front of an unreachable exchange does not check keys.
        if self._venue.faults.down:
            raise exchange_is_down()
        self._keys.check(request.headers)

    async def _dispatch(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        if self._venue.faults.read_latency_ms:
            await asyncio.sleep(self._venue.faults.read_latency_ms / 1000)
        if path == ORDERS_PATH and request.method == "DELETE":
            return self._cancel_all()
        change = self._order_changes.get(request.method)
        if change is not None and path.startswith(ORDER_FOLDER):
            return await change(request, path.removeprefix(ORDER_FOLDER))
        if request.method != "GET":
            raise refusal(Code.METHOD_NOT_ALLOWED, f"{request.method} is not supported on {path}")
        return json_answer(self._queries.answer(path, request.query))

    async def _place(self, request: web.BaseRequest, *, is_answer_replaced: bool) -> web.StreamResponse:
        venue = self._venue
        fate = venue.dice.draw_placement(venue.faults)
        body = await request.read()
        if venue.faults.latency_ms:
            await asyncio.sleep(venue.faults.latency_ms / 1000)
            if venue.faults.down:
                # The exchange went down while the order was in transit.
                raise exchange_is_down()
        if fate.is_refused:
            raise exchange_refused()
        if fate.error_status is not None:
            return gateway_answer(fate.error_status)
        terms = parse_terms(parse_object(body), instruments=venue.instruments, new_id=self._new_id)
        answer = PlacementAnswer.REPLACED if is_answer_replaced else fate.answer
        order = venue.place(terms, answer=answer, is_rejected_later=fate.is_rejected_later)
        if answer in {PlacementAnswer.GIVEN, PlacementAnswer.REPLACED}:
            return json_answer(order_json(order))
        return await self._answer_ambiguously(request, order, answer)

    async def _answer_ambiguously(
        self, request: web.BaseRequest, order: Order, answer: PlacementAnswer
    ) -> web.StreamResponse:
        """Accept the order; the client gets no answer, a wrong one, or the correct one too late."""
        if answer is PlacementAnswer.LATE:
            await asyncio.sleep(self._venue.faults.ambiguous_delay_ms / 1000)
            return json_answer(order_json(order))
        if answer is PlacementAnswer.DROPPED:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return gateway_answer(int(answer.value))

    async def _replace(self, request: web.BaseRequest, order_id: str) -> web.StreamResponse:
        fields = parse_object(await request.read())
        order = self._order(order_id)
        change = parse_replacement(fields, replaced=order.terms)
        named = replace(change, client_order_id=change.client_order_id or self._new_id())
        return json_answer(order_json(self._venue.replace(order, named)))

    async def _cancel(self, _request: web.BaseRequest, order_id: str) -> web.StreamResponse:
        self._venue.cancel(self._order(order_id))
        return web.Response(status=204)

    def _cancel_all(self) -> web.StreamResponse:
        results = []
        for order in self._venue.book.open_orders():
            try:
                self._venue.cancel(order)
                results.append({"id": order.id, "status": 200})
            except VenueRefusalError as error:
                results.append({"id": order.id, "status": error.status})
        return json_answer(results, status=207)

    def _order(self, order_id: str) -> Order:
        """Return an order for a change, which may be a hidden one: only look-ups lag."""
        order = self._venue.book.find(order_id)
        if order is None:
            raise order_not_found(order_id)
        return order
