"""The allowed resources of a process after the quiet phase: those from before the load, and those that its pools keep
open by design.

Counted: tasks of the event loop, open files and sockets, connections to PostgreSQL and Valkey, the API's websockets and
subscribers, and every key in Valkey by its kind.
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import aiohttp
from redis.asyncio import Redis

from runtime.observability.metrics import TASKS
from tools.chaos.arena import Arena
from tools.chaos.arena_settings import SETTINGS
from tools.chaos.evidence import Leftover
from tools.chaos.ledger import OUTAGES, Ledger
from tools.chaos.schedule import APIS, PROCESSES, WORKERS

TASKS_SPARE = 4
"""An ingest that has come to lead has some more tasks than one that stands by, and a request of ours may be open."""
FILES_SPARE = 8
OPEN_FILES = "process_open_fds"
GIVEN_BACK_WITHIN_SECONDS = 30.0
"""Counted from the end of the faults. SAQ looks for the jobs of dead workers every fifteen seconds."""
GIVEN_BACK_AT_LEAST_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.25

KEYS: Mapping[str, int] = {
    r"saq:fillwire:(sweep|schedule)": 2,  # Locks of some seconds.
    r"saq:fillwire:stats": 1,
    r"saq:fillwire:worker_info:.*": len(WORKERS),
}
"""How many keys of each kind an idle system has at most. Any other kind, such as a job or a list of them, has none."""

Held = Mapping[str, float]
"""What is held, by its name."""


async def look(arena: Arena, ledger: Ledger) -> Held:
    """Return the current resources of every process."""
    held: dict[str, float] = {}
    for name in PROCESSES:
        series = await arena.metrics(name)
        held[f"tasks of {name}"] = series[TASKS]
        held[f"open files of {name}"] = series.get(OPEN_FILES, 0)  # Only where there is /proc.
        if name in APIS:
            held[f"sockets of {name}"] = series.get("fillwire_sockets", 0)
            held[f"subscribers of {name}"] = series.get("fillwire_subscribers", 0)
    for application, count in (await ledger.connections()).items():
        held[f"PostgreSQL connections of {application}"] = count
    async with Redis.from_url(arena.redis_url) as redis:
        held["Valkey connections"] = len(await redis.client_list())
        held |= _by_kind([key.decode() for key in await redis.keys("*")])
    return held


async def look_for_leftovers(arena: Arena, ledger: Ledger, before: Held, *, ended_at: float) -> Sequence[Leftover]:
    """Compare after every subscriber has left, and again until everything is released, or the time is up.

    A process that ends in this phase, in which no fault is injected, is a leftover as well. Raises one of OUTAGES or
    aiohttp.ClientError when a process does not answer in time.
    """
    loop = asyncio.get_running_loop()
    deadline = max(ended_at + GIVEN_BACK_WITHIN_SECONDS, loop.time() + GIVEN_BACK_AT_LEAST_SECONDS)
    deaths_before = arena.deaths.copy()
    while True:
        try:
            held = await look(arena, ledger)
        except (*OUTAGES, aiohttp.ClientError):
            if loop.time() > deadline:
                raise
        else:
            leftovers = [*compare(held, before), *ends_in_the_calm(arena.deaths, deaths_before)]
            if loop.time() > deadline or all(each.value <= each.allowed for each in leftovers):
                return leftovers
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def ends_in_the_calm(deaths: Counter[str], before: Counter[str]) -> Sequence[Leftover]:
    """Return the ends of processes, by name and cause, that were not counted before. None of them is allowed."""
    return [
        Leftover(name=f"ended in the calm: {name}", value=count, allowed=0) for name, count in (deaths - before).items()
    ]


def compare(held: Held, before: Held) -> Sequence[Leftover]:
    """Return the resources and their allowed maximum; of processes of one kind the one with the most counts."""
    by_kind: defaultdict[str, float] = defaultdict(float)
    for what, value in before.items():
        by_kind[_kind(what)] = max(by_kind[_kind(what)], value)
    return [Leftover(name=what, value=value, allowed=_allowed(what, by_kind)) for what, value in held.items()]


def _allowed(what: str, before: Mapping[str, float]) -> float:
    pool = int(SETTINGS["DATABASE_POOL_CONNECTIONS_MAX"])
    if what.startswith("tasks"):
        return before[_kind(what)] + TASKS_SPARE
    if what.startswith("open files"):
        exchange = 0 if "api" in what else int(SETTINGS["EXCHANGE_CONNECTIONS_MAX"])
        return before[_kind(what)] + pool + exchange + FILES_SPARE
    if what.startswith("PostgreSQL"):
        return pool
    if what.startswith("Valkey connections"):
        return before[what] + FILES_SPARE * len(PROCESSES)
    return KEYS.get(what.removeprefix("keys "), 0)


def _kind(what: str) -> str:
    """Return the name without the number of the process."""
    return re.sub(r"-?\d+$", "", what)


def _by_kind(keys: Sequence[str]) -> Mapping[str, float]:
    counts: Counter[str] = Counter()
    for key in keys:
        # For an unknown kind the uuid, or the last part, is ignored.
        kind = next((kind for kind in KEYS if re.fullmatch(kind, key)), key.rpartition(":")[0] or key)
        counts[f"keys {kind}"] += 1
    return dict(counts)
