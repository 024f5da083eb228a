"""A socket whose token is no longer valid: what it still sends, and how it ends."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from websockets.exceptions import ConnectionClosed

from domain.ports.telemetry import Metric
from graph.settings import GraphSettings
from graph.websocket.close_codes import TokenEnd
from graph.websocket.open_sockets import WITHDRAWN_CLOSE_SECONDS, OpenSockets
from tests.support.api_server import Api, running_api, token, until
from tests.support.api_world import World
from tests.support.examples import ISIN
from tests.support.graphql_orders import key_of, placed_id

UPDATES = "subscription { orderUpdates { kind } }"
PLACE = """mutation Place($input: PlaceOrderInput!) {
  placeOrder(input: $input, waitMs: 400) { __typename } }"""
ORDER = {"clientOrderId": "slow", "isin": ISIN, "side": "BUY", "type": "MARKET", "quantity": "10"}


@dataclass(frozen=True, slots=True)
class Served:
    """An API, and the sockets that are open there."""

    api: Api
    sockets: OpenSockets

    def withdraw(self, account_id: str = "alice") -> None:
        """Learn that the account's tokens were revoked."""
        self.sockets.end_withdrawn(lambda bearer: account_id in bearer.account_ids, TokenEnd.REVOKED)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """One API for each test."""
    world = World()
    sockets = OpenSockets(GraphSettings(), world.telemetry)
    async with running_api(world, sockets=sockets) as api:
        yield Served(api, sockets)


async def test_subscribers_are_sent_nothing_more_from_the_moment_at_which_the_token_is_known_to_be_revoked(
    served: Served,
) -> None:
    api = served.api
    order_id = await placed_id(api)
    async with api.conversation() as socket:
        await socket.subscribe(UPDATES)
        await socket.next_data()

        served.withdraw()
        await api.world.flood(key_of(order_id), changes=3)

        assert await socket.closed() == 4403
        with pytest.raises(ConnectionClosed):
            await socket.connection.recv()
    assert api.world.feed.open_feeds == 0


async def test_what_was_started_before_may_still_answer(served: Served) -> None:
    async with served.api.conversation() as socket:
        await socket.subscribe(PLACE, {"input": ORDER})
        await until(lambda: served.api.world.orders.rows)

        served.withdraw()

        assert (await socket.next_data())["placeOrder"] == {"__typename": "PlaceOrderSuccess"}
        assert await socket.closed() == 4403


async def test_a_token_that_is_withdrawn_twice_closes_its_socket_once_and_others_not_at_all(served: Served) -> None:
    async with served.api.conversation() as socket, served.api.conversation(token("bob")) as other:
        served.withdraw()
        served.withdraw()

        assert await socket.closed() == 4403
        await other.subscribe("{ viewer { accountId } }")
        assert (await other.next_data()) == {"viewer": {"accountId": "bob"}}
    assert served.api.world.telemetry.counted(Metric.SOCKETS_CLOSED, reason="revoked") == 1
    assert served.api.world.telemetry.said("socket_closed_twice") == []


async def test_closes_are_spread_over_a_second(served: Served) -> None:
    async def hold(ready: asyncio.Event) -> float:
        async with served.api.conversation() as socket:
            ready.set()
            await socket.closed()
            return time.monotonic()

    ready = [asyncio.Event() for _ in range(20)]
    holding = [asyncio.create_task(hold(event)) for event in ready]
    await asyncio.gather(*(event.wait() for event in ready))

    served.withdraw()
    ends = sorted(await asyncio.gather(*holding))

    assert WITHDRAWN_CLOSE_SECONDS / 3 < ends[-1] - ends[0] < WITHDRAWN_CLOSE_SECONDS + 0.5
