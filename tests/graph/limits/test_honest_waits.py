"""How long a regular client waits while another account keeps the process busy, measured on a clock that advances
only by the cost of the queries.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial

import pytest

from graph.limits.query_concurrency import QueryConcurrency
from graph.settings import GraphSettings
from tests.graph.limits.counted_time import CountedTime, run_counted

SECONDS = 2.0
CONNECTIONS = 64
HONEST_EVERY_SECONDS = 0.01
DATABASE_SECONDS = 0.000_4
SETTINGS = GraphSettings()
READ_OBJECTS = 22
SMALL, LARGE = {READ_OBJECTS: 0.000_6}, {101: 0.001_2}
"""Objects of a query, and the seconds for which it keeps the thread busy: ten orders, a hundred executions."""


class Process:
    """One thread that answers queries."""

    def __init__(self, clock: CountedTime) -> None:
        self._clock = clock
        self._concurrency = QueryConcurrency()
        self.answered = Counter[str]()

    async def answer(self, account_id: str, objects: int, busy_seconds: float) -> None:
        """Keep the thread busy: a third before the query has its slots, the rest when its rows are there."""
        self._clock.pass_about(busy_seconds / 3)
        count = -(-objects // SETTINGS.query_slot_objects)
        async with self._concurrency.slots(account_id, count=count, at_once=SETTINGS.queries_at_once):
            await asyncio.sleep(DATABASE_SECONDS)
            self._clock.pass_about(busy_seconds * 2 / 3)
        self.answered[account_id] += 1


async def slow_read(clock: CountedTime, *, attack: Mapping[int, float]) -> float:
    """Return the p99 of a regular client's reads, in seconds."""
    process, waits = Process(clock), list[float]()

    async def ask_in_circles(objects: int, busy_seconds: float) -> None:
        while True:
            await asyncio.sleep(DATABASE_SECONDS)
            await process.answer("attacker", objects, busy_seconds)

    async def read() -> None:
        began = clock.now
        await process.answer("honest", READ_OBJECTS, SMALL[READ_OBJECTS])
        waits.append(clock.now - began)

    circles = [asyncio.create_task(ask_in_circles(*one)) for one in attack.items() for _ in range(CONNECTIONS)]
    async with asyncio.TaskGroup() as reads:
        while clock.now < SECONDS:
            await asyncio.sleep(HONEST_EVERY_SECONDS)
            reads.create_task(read())
    for task in circles:
        task.cancel()
    await asyncio.gather(*circles, return_exceptions=True)
    for busy_seconds in attack.values():
        # It is slowed down, and not shut out: it has a third of the thread at least.
        assert process.answered["attacker"] * busy_seconds > SECONDS / 3
    return sorted(waits)[len(waits) * 99 // 100]


@pytest.mark.parametrize("attack", [SMALL, LARGE], ids=["ten orders", "a hundred executions"])
def test_while_an_account_sends_queries_continuously_the_reads_of_others_take_less_than_twice_as_long(
    attack: Mapping[int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = run_counted(partial(slow_read, attack={}), monkeypatch)

    attacked = run_counted(partial(slow_read, attack=attack), monkeypatch)

    assert attacked < 2 * quiet
