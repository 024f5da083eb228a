"""The quiet phase after the faults: start everything, wait until no work is left, then for the subscribers."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tools.chaos.arena import Arena
from tools.chaos.check_deliveries import BEHIND_MAX_SECONDS
from tools.chaos.check_leftovers import QUIET_WITHIN_SECONDS
from tools.chaos.history import History
from tools.chaos.lag import Lag
from tools.chaos.ledger import OUTAGES, Ledger
from tools.chaos.operators import Operator
from tools.chaos.truth import ZERO, Filled, Journal, newest_entry

LOOK_EVERY_SECONDS = 0.25
EXAMPLES_MAX = 10
STILL_LOOKS = 4
"""So many looks in a row must see the same before it counts as still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """The course of the quiet phase, in seconds since the faults ended; None for steps that did not complete in time.

    `behind_seconds` is the longest time for which a subscriber lacked a change that the database had (see
    `tools.chaos.lag`).
    """

    quiet_seconds: float | None
    behind_seconds: float | None


async def wait_for_calm(
    arena: Arena, ledger: Ledger, *, operator: Operator, journal: Journal, lag: Lag, history: History, ended_at: float
) -> Calm:
    """Wait for quiet, then until every subscriber has received the database's state. `ended_at` is when the faults
    ended.

    `operator` resolves what only a person can.
    """
    loop = asyncio.get_running_loop()
    deadline = ended_at + QUIET_WITHIN_SECONDS
    is_quiet = await _until(lambda: _is_still(arena, ledger, journal, operator, history), deadline=deadline)
    is_quiet = is_quiet and await _until(lambda: _agrees(arena, ledger, journal, operator, history), deadline=deadline)
    quiet_seconds = loop.time() - ended_at if is_quiet else None
    caught_up = await _until(lambda: lag.look(ledger), deadline=loop.time() + BEHIND_MAX_SECONDS)
    return Calm(quiet_seconds=quiet_seconds, behind_seconds=lag.worst_seconds if caught_up else None)


async def _until(condition: Callable[[], Awaitable[bool]], *, deadline: float) -> bool:
    loop = asyncio.get_running_loop()
    while loop.time() < deadline:
        try:
            if await condition():
                return True
        except OUTAGES:
            pass  # Not back yet.
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return False


async def _is_still(arena: Arena, ledger: Ledger, journal: Journal, operator: Operator, history: History) -> bool:
    """Return whether every process serves, nothing is due except forgotten orders, and neither side has changed for
    a while.
    """
    before = None
    await journal.read_on(arena)
    for _ in range(STILL_LOOKS):
        undecided, down = await ledger.undecided(forgotten=journal.forgotten), await arena.not_ready()
        state = (await newest_entry(arena), await ledger.sequences())
        if undecided != (0, 0) or down or before not in (None, state):
            history.note("not_still", to_place=undecided[0], to_cancel=undecided[1], down=down, journal=state[0])
            await operator.resolve()
            return False
        before = state
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return True


async def _agrees(arena: Arena, ledger: Ledger, journal: Journal, operator: Operator, history: History) -> bool:
    """Return whether both sides have the same quantities, notionals, terms and open orders, and no cancel is pending of
    an order that is over at the exchange."""
    await journal.read_on(arena)
    is_filled_alike = await ledger.filled_total() == _total(journal)
    here = await ledger.terms(list(journal.restated))
    other_terms = {name for name, terms in journal.restated.items() if here.get(name) != terms} - journal.forgotten
    excused = journal.forgotten | journal.short_orders
    opened = (journal.open_orders ^ await ledger.open_at_venue()) - excused
    opened |= (await ledger.being_canceled() & journal.short_orders) - journal.forgotten
    if is_filled_alike and not other_terms and not opened:
        return True
    differing = set() if is_filled_alike else await _filled_otherwise(ledger, journal)
    history.note(
        "differs", filled=_examples(differing), terms=_examples(other_terms), open_on_one_side=_examples(opened)
    )
    await operator.resolve()
    return False


def _total(journal: Journal) -> Filled:
    quantities, notionals = zip(*journal.filled.values(), strict=True) if journal.filled else ((), ())
    return sum(quantities, ZERO), sum(notionals, ZERO)


async def _filled_otherwise(ledger: Ledger, journal: Journal) -> set[str]:
    here, there = await ledger.filled(), journal.filled
    none = (ZERO, ZERO)
    return {name for name in here.keys() | there.keys() if here.get(name, none) != there.get(name, none)}


def _examples(names: AbstractSet[str]) -> list[str]:
    return sorted(names)[:EXAMPLES_MAX]
