"""Crash points: no effect when unset, and an immediate end when set."""

import asyncio
import sys
from uuid import UUID

import pytest

from domain.ports.notifications import ChangePublisher, WakeUps
from domain.ports.order_store import OrderStore
from domain.ports.venue import Venue
from runtime.processes.crash_points import CRASHING_METHODS, EXIT_CODE, crashing, read_crash_at
from tests.support.processes import running

CRASHES = """
import asyncio
from runtime.processes.crash_points import crashing

class Orders:
    async def claim(self, ids):
        print("claimed", flush=True)
        return ids

try:
    asyncio.run(crashing(Orders(), "claim:1").claim([1]))
finally:
    print("farewell", flush=True)
"""


class _Signals:
    def __init__(self) -> None:
        self.due: list[UUID] = []

    def placement_due(self, order_ids: list[UUID]) -> None:
        self.due += order_ids


class _Venue:
    name = "venue"

    async def submit(self, order_id: UUID) -> str:
        await asyncio.sleep(0)
        return f"placed {order_id.int}"


def test_a_port_without_crash_points_is_the_port_itself() -> None:
    signals = _Signals()

    assert crashing(signals, None) is signals
    assert crashing(signals, "") is signals


async def test_a_port_with_crash_points_that_are_not_reached_works_as_before() -> None:
    signals, venue = _Signals(), _Venue()

    crashing(signals, "wake_up:0").placement_due([UUID(int=1)])
    outcome = await crashing(venue, "send:0,answer:0").submit(UUID(int=2))

    assert signals.due == [UUID(int=1)]
    assert outcome == "placed 2"
    assert crashing(venue, "send:0").name == "venue"


async def test_a_crash_point_that_is_reached_ends_the_process_immediately() -> None:
    async with running(["-c", CRASHES], environment={}, python=sys.executable) as process:
        code = await process.ends(within_seconds=20)

    assert code == EXIT_CODE
    assert process.output == ["claimed"]


@pytest.mark.parametrize("method", CRASHING_METHODS)
def test_every_method_with_a_crash_point_is_one_of_a_port(method: str) -> None:
    assert any(hasattr(port, method) for port in (OrderStore, Venue, WakeUps, ChangePublisher))


def test_an_unknown_crash_point_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'commmit' is no crash point; there are commit, wake_up"):
        read_crash_at("commmit:0.1")
