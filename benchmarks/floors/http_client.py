"""The floors of placing: the worker's HTTP client by itself, and aiohttp used likewise."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import aiohttp
import orjson
import uvloop

from benchmarks.load.obeying import obey
from exchange.alpaca.settings import AlpacaSettings
from exchange.alpaca.transport import open_transport

PATH = "/v2/orders"
KEY = "simulator"
HEADERS = {
    "APCA-API-KEY-ID": KEY,
    "APCA-API-SECRET-KEY": KEY,
    "Accept": "application/json",
    "Content-Type": "application/json",
}


async def post(*, url: str, bodies: list[str], at_once: int) -> dict[str, Any]:
    """Post each of the bodies once, that number in parallel, by the worker's client; `url` is the venue's, without
    a path.
    """
    settings = AlpacaSettings(url=url, stream_url="", key=KEY, secret=KEY, connections_max=at_once)
    async with open_transport(settings) as transport:

        async def send(body: str) -> None:
            order = orjson.loads(body)
            answer = await transport.send("POST", PATH, body=order, names=order["client_order_id"])
            if not answer.is_success:
                raise RuntimeError(f"HTTP {answer.status}")

        return {"seconds": await _seconds(send, bodies, at_once)}


async def post_by_aiohttp(*, url: str, bodies: list[str], at_once: int) -> dict[str, Any]:
    """Post the same by aiohttp."""
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def send(body: str) -> None:
            async with session.post(f"{url}{PATH}", data=body.encode(), headers=HEADERS) as response:
                await response.read()
                response.raise_for_status()

        return {"seconds": await _seconds(send, bodies, at_once)}


async def _seconds(send: Callable[[str], Awaitable[None]], bodies: Iterable[str], at_once: int) -> float:
    left = iter(bodies)

    async def send_some() -> None:
        for body in left:
            await send(body)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(send_some())
    return time.perf_counter() - began


if __name__ == "__main__":
    uvloop.run(obey({"post": post, "post_by_aiohttp": post_by_aiohttp}))
