"""What must be small again after the calm: Redis' keys, PostgreSQL's connections, the API's sockets and subscribers."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis

from tests.chaos.arena import Arena
from tests.chaos.evidence import Leftover
from tests.chaos.ledger import Ledger
from tests.chaos.schedule import APIS, HEADS

REDIS_KEYS_MAX = 2_000
CONNECTIONS_PER_PROCESS_MAX = 10
FILES_PER_PROCESS_MAX = 250
GIVEN_BACK_WITHIN_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.25


async def look_for_leftovers(arena: Arena, ledger: Ledger) -> Sequence[Leftover]:
    """Look after every subscriber has left, and again for a while until what they held is given back."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GIVEN_BACK_WITHIN_SECONDS
    while True:
        leftovers = await _look(arena, ledger)
        if loop.time() > deadline or all(each.value <= each.allowed for each in leftovers):
            return leftovers
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _look(arena: Arena, ledger: Ledger) -> Sequence[Leftover]:
    leftovers = [
        Leftover(name="Redis keys", value=await _redis_keys(arena), allowed=REDIS_KEYS_MAX),
        Leftover(
            name="PostgreSQL connections",
            value=await ledger.connections(),
            allowed=CONNECTIONS_PER_PROCESS_MAX * len(HEADS),
        ),
    ]
    for name in APIS:
        series = await arena.metrics(name)
        leftovers += [
            Leftover(name=f"{what} of {name}", value=series.get(f"fillwire_{what}", 0), allowed=0)
            for what in ("sockets", "subscribers")
        ]
    for name in HEADS:
        pid = arena.supervisor.pid(name)
        leftovers.append(Leftover(name=f"open files of {name}", value=_open_files(pid), allowed=FILES_PER_PROCESS_MAX))
    return leftovers


async def _redis_keys(arena: Arena) -> int:
    async with Redis.from_url(arena.redis_url) as redis:
        count: int = await redis.dbsize()
    return count


def _open_files(pid: int) -> int:
    """Sockets included; 0 where the system does not tell."""
    folder = Path(f"/proc/{pid}/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0
