"""How a process of the benchmarks obeys: an order a line on the standard input, its answer a line on the output."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

Deed = Callable[..., Awaitable[dict[str, Any]]]


async def obey(deeds: Mapping[str, Deed]) -> None:
    """Do what is ordered, one after the other, until the input ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        order = orjson.loads(line)
        answer = await deeds[order.pop("load")](**order)
        sys.stdout.buffer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
