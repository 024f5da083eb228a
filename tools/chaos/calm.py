"""The calm after the storm: everything up again, then wait until nothing is left to do, then for the subscribers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tools.chaos.arena import Arena
from tools.chaos.check_deliveries import BEHIND_MAX_SECONDS
from tools.chaos.check_leftovers import QUIET_WITHIN_SECONDS
from tools.chaos.history import History
from tools.chaos.lag import Lag
from tools.chaos.ledger import OUTAGES, Ledger
from tools.chaos.truth import Journal, newest_entry

LOOK_EVERY_SECONDS = 0.25
EXAMPLES_MAX = 10
STILL_LOOKS = 4
"""So many looks in a row must see the same before it counts as still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """How it came about, in seconds since the faults ended; None for what did not come in time.

    `behind_seconds` is the longest that a subscriber lacked a change that the database had (see `tools.chaos.lag`).
    """

    quiet_seconds: float | None
    behind_seconds: float | None


async def wait_for_calm(
    arena: Arena, ledger: Ledger, *, journal: Journal, lag: Lag, history: History, ended_at: float
) -> Calm:
    """Wait for quiet, then until every subscriber has what the database holds. `ended_at` is when the faults ended."""
    loop = asyncio.get_running_loop()
    deadline = ended_at + QUIET_WITHIN_SECONDS
    is_quiet = await _until(lambda: _is_still(arena, ledger, history), deadline=deadline)
    is_quiet = is_quiet and await _until(lambda: _agrees(arena, ledger, journal, history), deadline=deadline)
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


async def _is_still(arena: Arena, ledger: Ledger, history: History) -> bool:
    """Return whether every process serves, nothing is due, and neither side has changed for a while."""
    before = None
    for _ in range(STILL_LOOKS):
        undecided, down = await ledger.undecided(), await arena.not_ready()
        state = (await newest_entry(arena), await ledger.sequences())
        if undecided != (0, 0) or down or before not in (None, state):
            history.note("not_still", to_place=undecided[0], to_cancel=undecided[1], down=down, journal=state[0])
            return False
        before = state
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return True


async def _agrees(arena: Arena, ledger: Ledger, journal: Journal, history: History) -> bool:
    """Return whether both sides have the same number of executions and the same open orders."""
    await journal.read_on(arena)
    there, here = len(journal.executions), await ledger.execution_count()
    open_there, open_here = journal.open_orders, await ledger.open_at_venue()
    if there == here and open_there == open_here:
        return True
    history.note(
        "differs",
        executions_there=there,
        executions_here=here,
        open_there=sorted(open_there - open_here)[:EXAMPLES_MAX],
        open_here=sorted(open_here - open_there)[:EXAMPLES_MAX],
    )
    return False
