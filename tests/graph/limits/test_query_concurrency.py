"""An account's queries wait for each other, and nobody else for them."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.accounts import VisibleAccounts
from domain.model.changes import OrderSnapshot
from graph.limits.query_concurrency import QueryConcurrency
from graph.settings import GraphSettings
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
    accounts=st.lists(st.sampled_from("ab"), min_size=1, max_size=12),
    deeds=st.lists(st.tuples(st.sampled_from(["end", "cancel"]), st.integers(0, 11)), max_size=24),
)
def test_no_more_queries_run_than_allowed_and_the_others_follow_in_their_order(
    accounts: list[str], deeds: list[tuple[str, int]]
) -> None:
    asyncio.run(_run_and_end(accounts, deeds))


async def _run_and_end(accounts: list[str], deeds: list[tuple[str, int]]) -> None:
    concurrency, begun, ends = QueryConcurrency(), list[int](), [asyncio.Event() for _ in accounts]
    running = dict.fromkeys(accounts, 0)

    async def work(number: int) -> None:
        account = accounts[number]
        async with concurrency.slot(account, at_once=AT_ONCE):
            running[account] += 1
            assert running[account] <= AT_ONCE
            begun.append(number)
            try:
                await ends[number].wait()
            finally:
                running[account] -= 1

    tasks = [asyncio.create_task(work(number)) for number in range(len(accounts))]
    await _let_all_go_on(tasks)
    for deed, index in deeds:
        number = index % len(accounts)
        if deed == "end":
            ends[number].set()
        else:
            tasks[number].cancel()
        await _let_all_go_on(tasks)
    for end in ends:
        end.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    for account in running:
        of_account = [number for number in begun if accounts[number] == account]
        assert of_account == sorted(of_account)
    assert all(number in begun for number, outcome in enumerate(outcomes) if outcome is None)
    assert len(concurrency) == 0


async def test_a_slot_that_is_handed_over_as_its_caller_is_cancelled_goes_to_the_next_query() -> None:
    concurrency = QueryConcurrency()

    async def work() -> str:
        async with concurrency.slot("alice", at_once=1):
            return "done"

    async with concurrency.slot("alice", at_once=1):
        canceled, waiting = (asyncio.create_task(work()) for _ in range(2))
        await _let_all_go_on([canceled, waiting])
    canceled.cancel()

    assert await asyncio.wait_for(waiting, 5) == "done"
    assert canceled.cancelled()
    assert len(concurrency) == 0


async def _let_all_go_on(tasks: Sequence[asyncio.Task[Any]]) -> None:
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
