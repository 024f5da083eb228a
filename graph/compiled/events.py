"""A compiled subscription: its events rendered, once for all who follow the same change by the same document."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from types import CoroutineType
from typing import Any

import orjson
from graphql import GraphQLError, located_error
from graphql.pyutils import inspect
from strawberry.types import ExecutionResult

from graph.compiled.answering import failure, public_errors
from graph.compiled.operation import Events
from graph.compiled.run import Run, Value
from graph.delivery import Delivery
from graph.shared_text import SharedText


class RenderedResult(ExecutionResult):
    """A result of a subscription that is already JSON."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(data=None, errors=None)
        self.payload = payload
        self._message: tuple[str, SharedText] | None = None

    def message(self, operation_id: str) -> SharedText:
        """The whole message that tells it. Clients number their operations alike, so the newest is kept for others."""
        if self._message is None or self._message[0] != operation_id:
            content = {"id": operation_id, "type": "next", "payload": orjson.Fragment(self.payload)}
            self._message = (operation_id, SharedText(orjson.dumps(content).decode()))
        return self._message[1]


class SharedResults:
    """The newest results that are alike for all, by subscription and item. The oldest is dropped first."""

    def __init__(self, *, max_results: int) -> None:
        self._max_results = max_results
        # Each entry holds what its key is the identity of, so that nothing else can get that identity meanwhile.
        self._results: OrderedDict[tuple[int, int], tuple[Events, object, RenderedResult]] = OrderedDict()

    def find(self, events: Events, item: object) -> RenderedResult | None:
        """The result, if that very item was rendered for that very subscription."""
        kept = self._results.get((id(events), id(item)))
        return None if kept is None else kept[2]

    def keep(self, events: Events, item: object, result: RenderedResult) -> None:
        """Keep it for the others."""
        self._results[id(events), id(item)] = (events, item, result)
        if len(self._results) > self._max_results:
            self._results.popitem(last=False)

    def __len__(self) -> int:
        return len(self._results)


class EventStream(AsyncIterator[RenderedResult]):
    """The results of one subscriber. An error of the source is the last one; closing it closes the source."""

    def __init__(self, source: AsyncIterator[Value], run: Run, events: Events, shared: SharedResults) -> None:
        self._source = source
        self._run = run
        self._events = events
        self._shared = shared
        self._has_failed = False

    async def __anext__(self) -> RenderedResult:
        if self._has_failed:
            raise StopAsyncIteration
        try:
            if isinstance(self._source, Delivery) and self._events.are_alike_for_all:
                return await self._shared_result(self._source)
            return await self._result(await anext(self._source), self._run.next_event())
        except StopAsyncIteration:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the last that the client hears
            self._has_failed = True
            return _rendered(failure(error, self._run))

    async def aclose(self) -> None:
        """Close the source."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def _shared_result(self, delivery: Delivery[Any, Any]) -> RenderedResult:
        while True:
            item = await delivery.take()
            result = self._shared.find(self._events, item)
            if result is not None:
                return result
            event = delivery.show(item)
            if event is not None:
                run = self._run.next_event()
                result = await self._result(event, run)
                # An error has an id of its own for each who is told of it.
                if not run.errors:
                    self._shared.keep(self._events, item, result)
                return result

    async def _result(self, event: Value, run: Run) -> RenderedResult:
        field = self._events.field
        data = None
        try:
            completed = field.execute(event, None, run)
            data = {field.key: await completed if type(completed) is CoroutineType else completed}
        except GraphQLError as error:
            run.note(error, None)
        return _rendered(ExecutionResult(data=data, errors=public_errors(run.errors, run)))


async def open_events(run: Run, events: Events, shared: SharedResults) -> EventStream:
    """Let the resolver open the source; raises what it raises, as a located GraphQLError."""
    resolver = events.resolver
    try:
        values = resolver.arguments.read(run.variables)
        source = resolver.call(None, values, (None, events.field.key), run)
        source = _checked(await source if resolver.is_async else source)
    except Exception as error:
        raise located_error(error, events.position.nodes, [events.field.key]) from error
    return EventStream(source, run, events, shared)


def _checked(source: Value) -> AsyncIterator[Value]:
    if isinstance(source, AsyncIterator):
        return source
    raise GraphQLError(f"Subscription field must return AsyncIterable. Received: {inspect(source)}.")


def _rendered(result: ExecutionResult) -> RenderedResult:
    payload: dict[str, Any] = {"data": result.data}
    if result.errors:
        payload["errors"] = [error.formatted for error in result.errors]
    return RenderedResult(orjson.dumps(payload))
