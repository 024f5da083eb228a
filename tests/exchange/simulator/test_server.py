"""The exchange serves until it is cancelled, and then is gone."""

import asyncio
import socket

import aiohttp
import pytest

from exchange.simulator.server import SimulatorConfig, serve
from tests.exchange.simulator.client import DEADLINE_SECONDS


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def _status(url: str) -> int:
    """Return the status of the health check, as soon as the exchange answers."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                async with session.get(url) as response:
                    return response.status
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0)


async def test_a_cancelled_exchange_frees_its_port() -> None:
    port = _free_port()
    url = f"http://127.0.0.1:{port}/healthz"
    serving = asyncio.create_task(serve(SimulatorConfig(port=port)))

    assert await _status(url) == 200
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    with socket.create_server(("127.0.0.1", port)):
        pass
