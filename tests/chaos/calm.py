"""The calm after the storm: everything up again, then wait until nothing is left to do, then for the subscribers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.chaos.arena import Arena
from tests.chaos.check_deliveries import CAUGHT_UP_WITHIN_SECONDS
from tests.chaos.check_leftovers import QUIET_WITHIN_SECONDS
from tests.chaos.evidence import Following
from tests.chaos.history import History
from tests.chaos.ledger import OUTAGES, Ledger
from tests.chaos.truth import newest_entry, read_journal, venue_executions, venue_orders

LOOK_EVERY_SECONDS = 0.25
EXAMPLES_MAX = 10
STILL_LOOKS = 4
"""So many looks in a row must see the same before it counts as still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calm:
    """How long it took; None for what did not come in time."""

    quiet_seconds: float | None
    caught_up_seconds: float | None


async def wait_for_calm(arena: Arena, ledger: Ledger, followings: Sequence[Following], history: History) -> Calm:
    """Wait for quiet, then until every subscriber has seen what the database holds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    deadline = began + QUIET_WITHIN_SECONDS
    is_quiet = await _until(lambda: _is_still(arena, ledger, history), deadline=deadline)
    is_quiet = is_quiet and await _until(lambda: _agrees(arena, ledger, history), deadline=deadline)
    quiet_seconds = loop.time() - began if is_quiet else None
    began = loop.time()
    caught_up = await _until(lambda: _is_caught_up(ledger, followings), deadline=began + CAUGHT_UP_WITHIN_SECONDS)
    return Calm(quiet_seconds=quiet_seconds, caught_up_seconds=loop.time() - began if caught_up else None)


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
    """Every process serves, nothing is due, and neither side has moved for a while."""
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


async def _agrees(arena: Arena, ledger: Ledger, history: History) -> bool:
    """Both sides have the same executions, by number, and the same open orders."""
    entries = await read_journal(arena)
    there, here = len(venue_executions(entries)), await ledger.execution_count()
    open_there = {order.order_id for order in venue_orders(entries) if order.end is None}
    open_here = await ledger.open_at_venue()
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


async def _is_caught_up(ledger: Ledger, followings: Sequence[Following]) -> bool:
    sequences = await ledger.sequences()
    waiting = [following for following in followings if following.order_id is not None and not following.is_over]
    versions = await ledger.versions([following.order_id for following in waiting if following.order_id is not None])
    by_account = all(
        following.last_place == sequences.get(following.account_id, 0)
        for following in followings
        if following.order_id is None
    )
    return by_account and all(following.last_place == versions.get(following.order_id or "") for following in waiting)
