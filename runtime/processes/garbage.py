"""Looks for reference cycles seldom enough that nobody waits for it.

CPython stops a process to look at every object that has lived for a while, whenever a quarter more of them have come:
20 to 65 ms with two thousand websockets, and while many are opened several times a second. What is young is looked at
in portions: large enough that what hundreds of requests hold while they wait is gone before its turn, small enough that
a look takes some milliseconds. What was there before the work began is never looked at again.
"""

import asyncio
import gc
from time import perf_counter

YOUNG_OBJECTS, YOUNG_ROUNDS, NEVER = 50_000, 2, 1_000_000_000
"""After how many new objects the youngest are looked at, and after how many times of that those a bit older."""
PAUSE_MIN_SECONDS = 30.0
PAUSE_TIMES = 1_000
"""A pause is so many times as long as the look before it: all looks together take a thousandth of the time."""


async def collect_garbage() -> None:
    """Look for old cycles from time to time, until cancelled; to begin when all is open and nothing is served yet."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, NEVER)
    pause_seconds = PAUSE_MIN_SECONDS
    while True:
        await asyncio.sleep(pause_seconds)
        began = perf_counter()
        gc.collect()
        pause_seconds = max(PAUSE_MIN_SECONDS, PAUSE_TIMES * (perf_counter() - began))
