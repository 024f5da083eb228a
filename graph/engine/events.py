"""A compiled subscription: its events rendered, once for all subscribers of the same change by the same document."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from types import CoroutineType
from typing import Any

import orjson
from graphql import GraphQLError, located_error
from graphql.pyutils import inspect
from strawberry.types import ExecutionResult

from graph.engine.answering import failure, public_errors
from graph.engine.delivery import Delivery
from graph.engine.hooks import EngineHooks
from graph.engine.operation import Events
from graph.engine.run import Run, Value
from graph.engine.shared_text import SharedText

WRITE_MAX_BYTES = 65_536
"""So much is rendered before it is sent, and one event more: what a peer does not read must not pile up here."""


class RenderedEvent:
    """One event of a subscription as JSON."""

    __slots__ = ("_message", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self._message: tuple[str, SharedText] | None = None

    def message(self, operation_id: str) -> SharedText:
        """Return the whole message. Most clients use the same operation ids, so the newest one is cached."""
        if self._message is None or self._message[0] != operation_id:
            content = {"id": operation_id, "type": "next", "payload": orjson.Fragment(self.payload)}
            self._message = (operation_id, SharedText(orjson.dumps(content).decode()))
        return self._message[1]


class RenderedResults(ExecutionResult):
    """The next results of a subscription, at least one: all available ones, to be sent in one write."""

    def __init__(self, events: Sequence[RenderedEvent]) -> None:
        super().__init__(data=None, errors=None)
        self.events = events

    def messages(self, operation_id: str) -> Sequence[SharedText]:
        """Return the whole messages, in order."""
        return [event.message(operation_id) for event in self.events]


class SharedResults:
    """The newest results that are alike for all, by subscription and item. The oldest is dropped first."""

    def __init__(self, *, max_results: int) -> None:
        self._max_results = max_results
        # Each entry references the objects whose identity is its key, so that no other object can get that identity.
        self._results: OrderedDict[tuple[int, int], tuple[Events, object, RenderedEvent]] = OrderedDict()

    def find(self, events: Events, item: object) -> RenderedEvent | None:
        """Return the result, if the same item was rendered for the same subscription."""
        kept = self._results.get((id(events), id(item)))
        return None if kept is None else kept[2]

    def keep(self, events: Events, item: object, result: RenderedEvent) -> None:
        """Cache it for other subscribers."""
        self._results[id(events), id(item)] = (events, item, result)
        if len(self._results) > self._max_results:
            self._results.popitem(last=False)

    def __len__(self) -> int:
        return len(self._results)


class EventStream(AsyncIterator[RenderedResults]):
    """The results of one subscriber. An error of the source is the last one; closing it closes the source."""

    def __init__(
        self, source: AsyncIterator[Value], run: Run, events: Events, *, shared: SharedResults, hooks: EngineHooks
    ) -> None:
        self._source = source
        self._run = run
        self._events = events
        self._shared = shared
        self._hooks = hooks
        self._has_failed = False

    async def __anext__(self) -> RenderedResults:
        if self._has_failed:
            raise StopAsyncIteration
        rendered: list[RenderedEvent] = []
        try:
            if isinstance(self._source, Delivery) and self._events.are_alike_for_all:
                await self._render_available(self._source, rendered)
            else:
                rendered.append(await self._own_event(await anext(self._source)))
        except StopAsyncIteration:
            raise
        except Exception as error:  # noqa: BLE001 - any error is the last event of the client
            self._has_failed = True
            rendered.append(_rendered(failure(error, self._run, self._hooks)))
        return RenderedResults(rendered)

    async def aclose(self) -> None:
        """Close the source."""
        close = getattr(self._source, "aclose", None)
        if close is not None:
            await close()

    async def _render_available(self, delivery: Delivery[Any, Any], rendered: list[RenderedEvent]) -> None:
        """Render the available items, up to what fits into one write; wait until there is at least one."""
        size = 0
        while not rendered:
            for item in delivery.available():
                event = self._shared_event(item, delivery)
                if event is None:
                    continue
                rendered.append(event)
                size += len(event.payload)
                if size >= WRITE_MAX_BYTES:
                    return
            if not rendered:
                await delivery.more()

    def _shared_event(self, item: object, delivery: Delivery[Any, Any]) -> RenderedEvent | None:
        """Return the item as rendered for its first subscriber; None when it is not sent."""
        rendered = self._shared.find(self._events, item)
        if rendered is not None:
            return rendered
        message = delivery.convert(item)
        if message is None:
            return None
        run, field = self._run.next_event(), self._events.field
        data = None
        try:
            # It never is a coroutine: what is alike for all has no resolvers.
            data = {field.key: field.execute(message, None, run)}
        except GraphQLError as error:
            run.note(error, None)
        rendered = _event(data, run, self._hooks)
        # The error id differs for each subscriber.
        if not run.errors:
            self._shared.keep(self._events, item, rendered)
        return rendered

    async def _own_event(self, message: Value) -> RenderedEvent:
        run, field = self._run.next_event(), self._events.field
        data = None
        try:
            completed = field.execute(message, None, run)
            data = {field.key: await completed if type(completed) is CoroutineType else completed}
        except GraphQLError as error:
            run.note(error, None)
        return _event(data, run, self._hooks)


async def open_events(run: Run, events: Events, *, shared: SharedResults, hooks: EngineHooks) -> EventStream:
    """Call the resolver, which opens the source; raise its error as a located GraphQLError."""
    resolver = events.resolver
    try:
        values = resolver.arguments.read(run.variables)
        source = resolver.call(None, values, (None, events.field.key), run)
        source = _checked(await source if resolver.is_async else source)
    except Exception as error:
        raise located_error(error, events.position.nodes, [events.field.key]) from error
    return EventStream(source, run, events, shared=shared, hooks=hooks)


def _checked(source: Value) -> AsyncIterator[Value]:
    if isinstance(source, AsyncIterator):
        return source
    raise GraphQLError(f"Subscription field must return AsyncIterable. Received: {inspect(source)}.")


def _event(data: dict[str, Any] | None, run: Run, hooks: EngineHooks) -> RenderedEvent:
    if run.errors:
        return _rendered(ExecutionResult(data=data, errors=public_errors(run.errors, run, hooks)))
    return RenderedEvent(orjson.dumps({"data": data}))


def _rendered(result: ExecutionResult) -> RenderedEvent:
    payload: dict[str, Any] = {"data": result.data}
    if result.errors:
        payload["errors"] = [error.formatted for error in result.errors]
    return RenderedEvent(orjson.dumps(payload))
