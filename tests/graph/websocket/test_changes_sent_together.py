"""Changes that are available at the time of a send are sent together, where the server accepts several texts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from graph.app import create_graphql_routes
from graph.auth.tokens import HmacTokens
from graph.engine.shared_text import SHARED_TEXTS
from tests.graph.engine.scenarios import Scenario, world_of
from tests.support.api_server import COMPILED_OPERATIONS, DEADLINE_SECONDS, SECRET, SUBPROTOCOL, token, until
from tests.support.api_world import World

UPDATES = "subscription { orderUpdates { cursor change { kind version } } }"
CHANGES = 3


@dataclass
class Peer:
    """The server's side of one websocket, in memory."""

    said: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    sends: list[list[str]] = field(default_factory=list)

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            self.sends.append(list(message["texts"]) if "texts" in message else [message["text"]])

    def say(self, message: object) -> None:
        self.said.put_nowait({"type": "websocket.receive", "text": orjson.dumps(message).decode()})


@pytest.mark.skipif(not COMPILED_OPERATIONS, reason="Strawberry's own results are sent one by one")
async def test_a_supporting_server_gets_all_changes_together_and_any_other_one_by_one() -> None:
    together, alone = await _sends({SHARED_TEXTS: {}}), await _sends({})

    assert [len(texts) for texts in together] == [CHANGES]
    assert alone == [[text] for text in together[0]]


async def _sends(extensions: dict[str, Any]) -> list[list[str]]:
    """Return the texts of each send for some simultaneous changes."""
    world, _ = await world_of(Scenario())
    async with _following(world, extensions) as peer:
        await world.flood(next(iter(world.orders.rows)), changes=CHANGES)
        await until(lambda: sum(map(len, peer.sends)) >= CHANGES)
        return peer.sends


@asynccontextmanager
async def _following(world: World, extensions: dict[str, Any]) -> AsyncIterator[Peer]:
    """Open a subscription to alice's orders."""
    peer = Peer()
    app = Starlette(routes=create_graphql_routes(world.services(), tokens=HmacTokens(secret=SECRET)))
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "query_string": b"",
        "headers": [],
        "subprotocols": [SUBPROTOCOL],
        "extensions": extensions,
    }
    peer.said.put_nowait({"type": "websocket.connect"})
    peer.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {token()}"}})
    peer.say({"id": "1", "type": "subscribe", "payload": {"query": UPDATES}})
    serving = asyncio.create_task(app(scope, peer.said.get, peer.send))
    try:
        await until(lambda: len(peer.sends) == len(("the acknowledgement", "the checkpoint")))
        peer.sends.clear()
        yield peer
    finally:
        peer.said.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(DEADLINE_SECONDS):
            await serving
