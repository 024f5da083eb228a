"""The floor of placing: the HTTP client that the worker uses, and nothing around it."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import uvloop

from benchmarks.load.obeying import obey

HEADERS = {
    "APCA-API-KEY-ID": "simulator",
    "APCA-API-SECRET-KEY": "simulator",
    "Accept": "application/json",
    "Content-Type": "application/json",
}


async def post(*, url: str, bodies: list[str], at_once: int) -> dict[str, Any]:
    """Post each of the bodies once, so many at a time."""
    left = iter(bodies)
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(_post_some(session, url, left))
        return {"seconds": time.perf_counter() - began}


async def _post_some(session: aiohttp.ClientSession, url: str, bodies: Iterator[str]) -> None:
    for body in bodies:
        async with session.post(url, data=body.encode(), headers=HEADERS) as response:
            await response.read()
            response.raise_for_status()


if __name__ == "__main__":
    uvloop.run(obey({"post": post}))
