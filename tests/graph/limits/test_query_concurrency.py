"""An account's queries wait for each other, and those of other accounts do not."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.accounts import VisibleAccounts
from domain.model.changes import OrderSnapshot
from domain.model.order_query import OrderKey, Page, PageRequest
from graph.limits.query_concurrency import REST_MAX_SECONDS, QueryConcurrency
from graph.settings import GraphSettings
from tests.graph.limits.counted_time import CountedTime, run_counted
from tests.support.api_server import running_api, token
from tests.support.api_world import World
from tests.support.fakes.order_reader import MemoryOrderReader
from tests.support.graphql_orders import PLACE, limit_order
from tests.support.processes import eventually

AT_ONCE = 2
READ = 'query { order(id: "ord_01a222f80aff71969f58fd5d4f57f6a9") { id } }'
READ_BY_STRAWBERRY = (
    'query { __schema { queryType { name } } order(id: "ord_01a222f80aff71969f58fd5d4f57f6a9") { id } }'
)


@given(
    queries=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, AT_ONCE + 2)), min_size=1, max_size=12),
    deeds=st.lists(st.tuples(st.sampled_from(["end", "cancel"]), st.integers(0, 11)), max_size=24),
)
def test_no_more_slots_are_used_than_exist_and_the_other_queries_follow_in_their_order(
    queries: list[tuple[str, int]], deeds: list[tuple[str, int]]
) -> None:
    asyncio.run(_run_and_end(queries, deeds))


async def _run_and_end(queries: list[tuple[str, int]], deeds: list[tuple[str, int]]) -> None:
    accounts = [account for account, _ in queries]
    concurrency, begun, ends = QueryConcurrency(), list[int](), [asyncio.Event() for _ in queries]
    held = dict.fromkeys(accounts, 0)

    async def work(number: int) -> None:
        account, count = queries[number]
        async with concurrency.slots(account, count=count, at_once=AT_ONCE):
            held[account] += min(count, AT_ONCE)
            assert held[account] <= AT_ONCE
            begun.append(number)
            try:
                await ends[number].wait()
            finally:
                held[account] -= min(count, AT_ONCE)

    tasks = [asyncio.create_task(work(number)) for number in range(len(queries))]
    await _resume_all(tasks)
    for deed, index in deeds:
        number = index % len(accounts)
        if deed == "end":
            ends[number].set()
        else:
            tasks[number].cancel()
        await _resume_all(tasks)
    for end in ends:
        end.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    for account in held:
        of_account = [number for number in begun if accounts[number] == account]
        assert of_account == sorted(of_account)
    assert all(number in begun for number, outcome in enumerate(outcomes) if outcome is None)
    await eventually(lambda: len(concurrency) == 0, within_seconds=5)


async def test_a_slot_that_is_assigned_while_its_caller_is_cancelled_passes_to_the_next_query() -> None:
    concurrency = QueryConcurrency()

    async def work() -> str:
        async with concurrency.slots("alice", at_once=1):
            return "done"

    async with concurrency.slots("alice", at_once=1):
        canceled, waiting = (asyncio.create_task(work()) for _ in range(2))
        await _resume_all([canceled, waiting])
    canceled.cancel()

    assert await asyncio.wait_for(waiting, 5) == "done"
    assert canceled.cancelled()
    assert len(concurrency) == 0


async def test_a_costly_query_runs_by_itself_for_its_account_and_small_ones_concurrently() -> None:
    concurrency, ends, running = QueryConcurrency(), asyncio.Event(), list[tuple[str, int]]()

    async def hold(account_id: str, count: int) -> None:
        async with concurrency.slots(account_id, count=count, at_once=AT_ONCE):
            running.append((account_id, count))
            await ends.wait()

    async with asyncio.TaskGroup() as group:
        for account_id, count in (("alice", 1), ("alice", 50), ("alice", 1), ("bob", 50), ("carol", 1), ("carol", 1)):
            group.create_task(hold(account_id, count))
        await asyncio.sleep(0)
        assert running == [("alice", 1), ("bob", 50), ("carol", 1), ("carol", 1)]
        ends.set()
    assert running[4:] == [("alice", 50), ("alice", 1)]


async def test_a_query_that_was_cancelled_passes_its_slots_to_later_ones() -> None:
    concurrency = QueryConcurrency()

    async def work(count: int) -> str:
        async with concurrency.slots("alice", count=count, at_once=AT_ONCE):
            return "done"

    async with concurrency.slots("alice", at_once=AT_ONCE):
        costly, small = (asyncio.create_task(work(count)) for count in (AT_ONCE, 1))
        await _resume_all([costly, small])
        assert not small.done()
        costly.cancel()

        assert await asyncio.wait_for(small, 5) == "done"


@pytest.mark.parametrize(
    ("held_seconds", "rest_seconds"),
    [(REST_MAX_SECONDS / 2, REST_MAX_SECONDS / 2), (REST_MAX_SECONDS * 8, REST_MAX_SECONDS)],
)
def test_slots_rest_as_long_as_they_were_held_while_others_of_the_account_wait(
    held_seconds: float, rest_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(clock: CountedTime) -> dict[str, float]:
        concurrency = QueryConcurrency()

        async def begins_at(account_id: str) -> float:
            async with concurrency.slots(account_id, at_once=1):
                return clock.now

        async with concurrency.slots("alice", at_once=1):
            waiting = asyncio.create_task(begins_at("alice"))
            await asyncio.sleep(0)
            clock.now += held_seconds
        begun = {"bob": await begins_at("bob"), "alice": await waiting}
        assert len(concurrency) == 0
        return begun

    begun = run_counted(work, monkeypatch)

    assert begun == pytest.approx({"bob": held_seconds, "alice": held_seconds + rest_seconds})


def test_a_client_with_sequential_queries_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: CountedTime) -> int:
        concurrency = QueryConcurrency()
        for number in range(5):
            async with concurrency.slots("alice", count=AT_ONCE, at_once=AT_ONCE):
                assert clock.now == number
                clock.now += 1
        return len(concurrency)

    assert run_counted(work, monkeypatch) == 0


async def _resume_all(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for _ in tasks:
        await asyncio.sleep(0)


@pytest.mark.parametrize("query", [READ, READ_BY_STRAWBERRY])
async def test_an_account_that_queries_over_many_connections_makes_no_other_account_wait(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_end = list[VisibleAccounts](), asyncio.Event()

    async def slow(
        _reader: MemoryOrderReader, _order_id: UUID, *, account_ids: VisibleAccounts
    ) -> OrderSnapshot | None:
        asked.append(account_ids)
        if account_ids == ("alice",):
            await may_end.wait()
        return None

    monkeypatch.setattr(MemoryOrderReader, "order", slow)
    async with running_api(World(settings=GraphSettings(queries_at_once=AT_ONCE, is_development=True))) as api:
        reading = [asyncio.create_task(api.answer(query)) for _ in range(5)]
        await eventually(lambda: len(asked) == AT_ONCE, within_seconds=5)

        assert (await api.answer(query, bearer=token("bob")))["data"]["order"] is None
        assert (await api.answer(PLACE, {"input": limit_order()}))["data"]["placeOrder"]
        assert asked == [("alice",), ("alice",), ("bob",)]

        may_end.set()
        assert all([(await answer)["data"]["order"] is None for answer in reading])
        assert asked.count(("alice",)) == 5


@pytest.mark.parametrize("written_by", ["orders(first: $n) { nodes { id } }", "orders(first: $n) { edges { cursor } }"])
@pytest.mark.parametrize("is_compiled", [True, False])
async def test_a_long_page_runs_by_itself_for_its_account_in_either_engine(
    written_by: str, *, is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, reading = asyncio.Event(), list[int]()

    async def slow(_reader: MemoryOrderReader, request: PageRequest[OrderKey], **_: object) -> Page[OrderSnapshot]:
        reading.append(request.limit)
        await may_end.wait()
        return Page(rows=[], has_next=False, has_previous=False)

    monkeypatch.setattr(MemoryOrderReader, "page", slow)
    query = f"query Page($n: Int) {{ {'' if is_compiled else '__schema { queryType { name } }'} {written_by} }}"
    async with running_api(World(settings=GraphSettings(query_slot_objects=10, is_development=True))) as api:
        async with asyncio.TaskGroup() as group:
            for rows in (100, 3, 5):
                group.create_task(api.answer(query, {"n": rows}))
                await eventually(lambda: bool(reading), within_seconds=5)
            assert (await api.answer("{ viewer { accountId } }", bearer=token("bob")))["data"]
            assert reading == [100]

            may_end.set()
        assert sorted(reading) == [3, 5, 100]
