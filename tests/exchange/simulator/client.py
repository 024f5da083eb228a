"""A plain client of the simulated exchange for its tests: HTTP and a websocket, no code of the product."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import orjson

from exchange.simulator.faults import NO_FAULTS, Faults
from exchange.simulator.matching import Matching
from exchange.simulator.server import RunningSimulator, SimulatorConfig, running_simulator
from exchange.simulator.stream import Frames

KEYS = {"APCA-API-KEY-ID": "simulator", "APCA-API-SECRET-KEY": "simulator"}
DEADLINE_SECONDS = 5.0
MANUAL = Matching(mode="manual")
AT_ONCE = Matching(fill_delay_ms=0)

Json = dict[str, Any]


class Client:
    """Calls the exchange and returns status and body."""

    def __init__(self, simulator: RunningSimulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.session = session

    async def call(self, method: str, path: str, body: object = None, **query: str) -> tuple[int, Any]:
        data = None if body is None else orjson.dumps(body)
        url = self.simulator.url + path
        async with self.session.request(method, url, data=data, params=query, headers=KEYS) as response:
            content = await response.read()
            is_json = content and response.content_type == "application/json"
            return response.status, orjson.loads(content) if is_json else content.decode()

    async def place(self, **changes: object) -> tuple[int, Any]:
        """Places ten Apple shares at the market, with the given changes."""
        terms: Json = {"symbol": "AAPL", "qty": "10", "side": "buy", "type": "market", "time_in_force": "day"}
        return await self.call("POST", "/v2/orders", {**terms, **changes})

    async def placed(self, **changes: object) -> Json:
        status, order = await self.place(**changes)
        assert status == 200, order
        return dict(order)

    async def order(self, order_id: str) -> Json:
        status, order = await self.call("GET", f"/v2/orders/{order_id}")
        assert status == 200, order
        return dict(order)

    async def until_status(self, order_id: str, wanted: str) -> Json:
        """Return the order, once it has the wanted status."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (order := await self.order(order_id))["status"] != wanted:
                pass
        return order

    async def journal(self) -> list[Json]:
        _, answer = await self.call("GET", "/simulator/journal")
        return list(answer["entries"])

    async def events(self) -> list[Json]:
        return [entry for entry in await self.journal() if entry["kind"] == "event"]

    async def set_faults(self, **changes: object) -> None:
        status, answer = await self.call("PUT", "/simulator/faults", changes)
        assert status == 200, answer


class Listener:
    """An authenticated listener of the stream."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket

    @classmethod
    async def connect(cls, client: Client, *, key: str = "simulator") -> Self:
        """Connect and authenticate, without reading the answer."""
        listener = cls(await client.session.ws_connect(client.simulator.stream_url))
        await listener.say("authenticate", {"key_id": key, "secret_key": "simulator"})
        return listener

    @classmethod
    @asynccontextmanager
    async def listening(cls, client: Client) -> AsyncIterator[Self]:
        listener = await cls.connect(client)
        assert (await listener.hear())["data"]["status"] == "authorized"
        await listener.say("listen", {"streams": ["trade_updates"]})
        assert (await listener.hear()) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        try:
            yield listener
        finally:
            await listener.close()

    async def say(self, action: str, data: Json) -> None:
        await self._websocket.send_bytes(orjson.dumps({"action": action, "data": data}))

    async def frame(self) -> aiohttp.WSMessage:
        return await self._websocket.receive(timeout=DEADLINE_SECONDS)

    async def hear(self) -> Json:
        message = await self.frame()
        assert message.type in {aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT}, message
        return dict(orjson.loads(message.data))

    async def update(self) -> Json:
        """Return the data of the next trade update."""
        message = await self.hear()
        assert message["stream"] == "trade_updates"
        return dict(message["data"])

    async def updates(self, count: int) -> list[Json]:
        return [await self.update() for _ in range(count)]

    async def close(self) -> None:
        await self._websocket.close()


@asynccontextmanager
async def exchange(
    *, faults: Faults = NO_FAULTS, matching: Matching = MANUAL, frames: Frames = "binary", **bounds: Any
) -> AsyncIterator[Client]:
    """Return a running exchange on a free port and a client of it."""
    config = SimulatorConfig(port=0, faults=faults, matching=matching, frames=frames, **bounds)
    async with running_simulator(config) as simulator, aiohttp.ClientSession() as session:
        yield Client(simulator, session)
