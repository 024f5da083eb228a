"""Keeps the garbage collector's pauses short in a process that runs the exchange for long.

The exchange forgets nothing, so full collections walk ever more objects that live for ever: measured, a pause of 1.2 s
at 300 000 orders. Setting aside what has survived keeps each collection to what is new. It touches the whole process,
so only a process of the exchange's own does it, never a test.
"""

import asyncio
import gc

COLLECTION_INTERVAL_SECONDS = 2.0


async def keep_collections_short() -> None:
    """Collects what is new and sets aside the rest, again and again, until cancelled."""
    while True:
        await asyncio.sleep(COLLECTION_INTERVAL_SECONDS)
        # Collecting first: garbage that is set aside would never be freed.
        gc.collect()
        gc.freeze()
