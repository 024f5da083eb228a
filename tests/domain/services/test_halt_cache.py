"""One read of the halts serves many orders, and no order is sent with a result that is too old."""

import asyncio
from collections.abc import Collection

import pytest

from domain.model.errors import UnavailableError
from domain.ports.trading_control import TradingHalt
from domain.services.halt_cache import HALT_CACHE_SECONDS, HaltCache
from tests.support.examples import ORDER_ID
from tests.support.fakes.audit import MemoryOperatorActions
from tests.support.fakes.clock import MIDNIGHT, SettableClock
from tests.support.fakes.trading_control import MemoryTradingHalts
from tests.support.operators import begin_halt

LONG_AGO = -3600.0
ALL = TradingHalt(id=ORDER_ID, account_id=None, halted_at=MIDNIGHT, halted_by="olga", halt_reason="fat finger")


class CountedHalts(MemoryTradingHalts):
    """Counts the reads; each waits until it is released, and returns what it read when it began."""

    looks = 0
    may_end: asyncio.Event

    async def halted_accounts(self) -> Collection[str | None]:
        self.looks += 1
        seen = await super().halted_accounts()
        await self.may_end.wait()
        return seen


@pytest.fixture
async def halts() -> CountedHalts:
    halts = CountedHalts(SettableClock(), MemoryOperatorActions(SettableClock()))
    halts.may_end = asyncio.Event()
    halts.may_end.set()
    return halts


@pytest.fixture
async def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the offset of the loop's clock in seconds, for a test to change."""
    passed = [0.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: passed[0])
    return passed


async def begun(count: int, seen: HaltCache) -> list[asyncio.Task[bool]]:
    """Start that number of callers, and return their tasks."""
    asking = [asyncio.create_task(seen.is_halted("alice", seen_at=LONG_AGO)) for _ in range(count)]
    for _ in range(3):
        await asyncio.sleep(0)
    return asking


async def test_what_was_seen_a_moment_ago_is_believed(halts: CountedHalts, passed: list[float]) -> None:
    await begin_halt(halts, ALL)
    passed[0] = HALT_CACHE_SECONDS * 0.9

    assert not await HaltCache(halts).is_halted("alice", seen_at=0.0)
    assert halts.looks == 0


async def test_one_read_serves_all_callers_until_it_is_too_old(halts: CountedHalts, passed: list[float]) -> None:
    seen = HaltCache(halts)
    halts.may_end.clear()
    asking = await begun(5, seen)
    halts.may_end.set()
    answers = await asyncio.gather(*asking)
    await begin_halt(halts, ALL)
    passed[0] = HALT_CACHE_SECONDS * 0.9
    soon = await seen.is_halted("alice", seen_at=LONG_AGO)
    passed[0] = HALT_CACHE_SECONDS
    later = await seen.is_halted("alice", seen_at=LONG_AGO)

    assert not any(answers)
    assert (soon, later, halts.looks) == (False, True, 2)


async def test_a_look_that_began_too_long_before_the_question_is_not_its_answer(
    halts: CountedHalts, passed: list[float]
) -> None:
    seen = HaltCache(halts)
    halts.may_end.clear()
    early = await begun(1, seen)
    await begin_halt(halts, ALL)
    passed[0] = HALT_CACHE_SECONDS
    late = await begun(1, seen)
    passed[0] = 10 * HALT_CACHE_SECONDS
    halts.may_end.set()

    # The early caller came before the halt, and its read is equivalent to one that the database answered late.
    assert [await early[0], await late[0]] == [False, True]


async def test_an_accounts_own_halt_stops_no_other(halts: CountedHalts) -> None:
    await begin_halt(
        halts, TradingHalt(id=ORDER_ID, account_id="alice", halted_at=MIDNIGHT, halted_by="o", halt_reason="r")
    )
    seen = HaltCache(halts)

    assert await seen.is_halted("alice", seen_at=LONG_AGO)
    assert not await seen.is_halted("bob", seen_at=LONG_AGO)


async def test_a_look_that_fails_fails_for_all_who_waited_and_the_next_one_looks_again(
    halts: CountedHalts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(_halts: MemoryTradingHalts) -> Collection[str | None]:
        raise UnavailableError

    seen = HaltCache(halts)
    with monkeypatch.context() as patched:
        patched.setattr(CountedHalts, "halted_accounts", unanswered)
        answers = await asyncio.gather(*await begun(3, seen), return_exceptions=True)

    assert [type(answer) for answer in answers] == [UnavailableError] * 3
    assert not await seen.is_halted("alice", seen_at=LONG_AGO)


async def test_a_cancelled_caller_does_not_cancel_the_shared_read(halts: CountedHalts) -> None:
    seen = HaltCache(halts)
    halts.may_end.clear()
    first, second = await begun(2, seen)
    first.cancel()
    halts.may_end.set()

    assert not await second
    assert halts.looks == 1


@pytest.mark.timeout(20)
async def test_a_caller_at_the_end_of_a_read_that_is_too_old_reads_again(
    halts: CountedHalts, passed: list[float]
) -> None:
    seen = HaltCache(halts)
    halts.may_end.clear()
    early = await begun(1, seen)
    passed[0] = 10 * HALT_CACHE_SECONDS
    halts.may_end.set()

    # It runs directly after the end of the read, before any caller has resumed.
    late = await begun(1, seen)

    assert [await early[0], await late[0]] == [False, False]
    assert halts.looks == 2
