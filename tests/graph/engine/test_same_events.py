"""Compiled subscriptions send what Strawberry's send, message by message, and render each change once for all."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from domain.model.errors import UnavailableError
from graph.engine.events import WRITE_MAX_BYTES, RenderedEvent, RenderedResults, SharedResults
from graph.engine.schema import stream
from graph.schema.build import Schema
from graph.schema.cursors import read_stream_cursor
from tests.graph.engine.both import is_covered, logged, payloads, without_error_ids
from tests.graph.engine.requests import COMPILING, CORE, DOCUMENTS, PLAIN, Request, requests
from tests.graph.engine.scenarios import SPOILED, Scenario, make_changes, scenarios, world_of
from tests.support.api_world import World

COVERED_AT_LEAST = 0.9
FIELDS = "id status version createdAt updatedAt accountId venueOrderId reason { code } placement { attempts }"
UPDATES = f"subscription {{ orderUpdates {{ kind cursor order {{ {FIELDS} }} }} }}"
WITH_A_RESOLVER = f"subscription {{ orderUpdates {{ cursor order {{ {FIELDS} instrument {{ symbol }} }} }} }}"


@pytest.mark.timeout(300)
def test_any_subscription_sends_the_same_and_nearly_all_are_compiled() -> None:
    counts: Counter[str] = Counter()

    @settings(suppress_health_check=list(HealthCheck))
    @given(requests("subscription"), scenarios)
    def check(request: Request, scenario: Scenario) -> None:
        theirs = runner.run(_received(PLAIN, request, scenario))
        has_run = request.may_be_compiled and any(message.startswith(b"{") for message in theirs[0])
        counts["run"] += has_run
        counts["compiled"] += has_run and runner.run(is_covered(request))

        assert runner.run(_received(COMPILING, request, scenario)) == theirs

    with asyncio.Runner() as runner:
        check()
    assert counts["compiled"] >= COVERED_AT_LEAST * counts["run"], counts


@pytest.mark.parametrize("document", [UPDATES, WITH_A_RESOLVER])
@pytest.mark.parametrize("name", SPOILED)
async def test_the_error_of_one_event_is_not_sent_with_the_next(document: str, name: str) -> None:
    request = Request(document=document, variables={})
    scenario = Scenario(spoiled={name: SPOILED[name]})

    theirs = await _received(PLAIN, request, scenario)
    ours = await _received(COMPILING, request, scenario)

    assert ours == theirs


async def test_a_change_is_rendered_once_for_all_who_follow_it_by_the_same_document() -> None:
    world, first, second = await _two_streams(UPDATES)
    openings = [await _next(first, 1), await _next(second, 1)]

    await make_changes(world)
    received = list(zip(await _next(first, 3), await _next(second, 3), strict=True))

    assert [event.payload for event in openings[0]] == [event.payload for event in openings[1]]
    assert all(one is other for one, other in received)
    assert len({one.payload for one, _ in received}) == len(received)


async def test_what_a_resolver_has_a_part_in_is_rendered_for_each() -> None:
    world, first, second = await _two_streams(WITH_A_RESOLVER)
    await _next(first, 1), await _next(second, 1)

    await make_changes(world)
    (one, *_), (other, *_) = await _next(first, 1), await _next(second, 1)

    assert one is not other
    assert one.payload == other.payload


async def test_a_change_that_cannot_be_rendered_is_sent_to_each_under_an_error_id_of_its_own() -> None:
    world, first, second = await _two_streams(UPDATES, Scenario(spoiled={"created_at": None}))
    await _next(first, 1), await _next(second, 1)

    known = len(world.orders.changes["alice"])
    await make_changes(world)
    new = len(world.orders.changes["alice"]) - known
    pairs = list(zip(await _next(first, new), await _next(second, new), strict=True))
    failed = [(one.payload, other.payload) for one, other in pairs if b'"errors"' in one.payload]

    assert failed
    assert all(one != other for one, other in failed)
    assert all(without_error_ids(one) == without_error_ids(other) for one, other in failed)


async def test_all_available_events_are_sent_in_one_write() -> None:
    world, first, _ = await _two_streams(UPDATES)
    await _next(first, 1)
    known = len(world.orders.changes["alice"])

    await make_changes(world)
    results = await anext(first)

    assert len(results.events) == len(world.orders.changes["alice"]) - known > 1


async def test_what_does_not_fit_into_one_write_is_sent_in_several_and_nothing_is_left_out() -> None:
    world, first, _ = await _two_streams(UPDATES)
    await _next(first, 1)
    known = len(world.orders.changes["alice"])

    await world.flood(next(iter(world.orders.rows)), changes=400)
    new = len(world.orders.changes["alice"]) - known
    received: list[Sequence[RenderedEvent]] = []
    while sum(map(len, received)) < new:
        received.append((await anext(first)).events)

    sizes = [[len(event.payload) for event in events] for events in received]
    assert len(received) > 1
    assert all(sum(one[:-1]) < WRITE_MAX_BYTES for one in sizes)
    assert [_sequence(event) for events in received for event in events] == list(range(known + 1, known + new + 1))


async def test_without_compiled_operations_nothing_is_rendered_ahead() -> None:
    _, context = await world_of(Scenario())

    events = await PLAIN.stream(UPDATES, context_value=context)

    assert not isinstance(await anext(events), RenderedResults)
    await events.aclose()


async def test_only_the_newest_results_are_cached_for_others() -> None:
    world, context = await world_of(Scenario())
    shared = SharedResults(max_results=2)
    operation = COMPILING.compiled_operation(DOCUMENTS.read(UPDATES, CORE), None)
    assert operation is not None
    begun = operation.begin(None, context)
    assert begun is not None
    assert COMPILING.hooks is not None
    events = stream(*begun, shared=shared, hooks=COMPILING.hooks)
    await anext(events)
    await make_changes(world)

    await _next(events, 4)

    assert len(shared) == 2
    await events.aclose()
    assert world.feed.open_feeds == 0


async def _two_streams(
    document: str, scenario: Scenario | None = None
) -> tuple[World, AsyncIterator[RenderedResults], AsyncIterator[RenderedResults]]:
    world, context = await world_of(scenario or Scenario())
    one, other = [await COMPILING.stream(document, context_value=context) for _ in range(2)]
    return world, one, other  # type: ignore[return-value]  # compiled, or the test fails


async def _next(results: AsyncIterator[Any], at_least: int) -> Sequence[RenderedEvent]:
    """Return the next events, in any number of results."""
    received: list[RenderedEvent] = []
    while len(received) < at_least:
        received += (await anext(results)).events
    return received


async def _received(schema: Schema, request: Request, scenario: Scenario) -> tuple[list[bytes], list[object]]:
    """Every message of a subscription in whose course orders change and at last the feed fails, and the log."""
    world, context = await world_of(scenario)
    received: list[bytes] = []

    async def listen() -> None:
        async for message in payloads(schema, request, context):
            received.append(without_error_ids(message))  # noqa: PERF401 - it may be cut off

    listening = asyncio.create_task(listen())
    await _quiet()
    await make_changes(world)
    await _quiet()
    world.feed.failure = UnavailableError("the feed ends")
    world.feed._wake()  # noqa: SLF001 - no other task is running
    await _quiet()
    assert listening.done()
    await listening
    assert world.feed.open_feeds == 0
    return received, list(logged(world))


async def _quiet() -> None:
    """Run every task until it waits: everything here is in memory."""
    for _ in range(60):
        await asyncio.sleep(0)


def _sequence(event: RenderedEvent) -> int:
    return read_stream_cursor(orjson.loads(event.payload)["data"]["orderUpdates"]["cursor"])
