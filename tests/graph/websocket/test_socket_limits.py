"""How many sockets are allowed, and which is closed above the limit: regular clients are still served."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from domain.ports.telemetry import Metric
from graph.settings import GraphSettings
from tests.support.api_server import LIMITS, Api, running_api, token, until
from tests.support.api_world import World
from tests.support.raw_socket import RawSocket, init, raw_socket, subscribe, text

VIEWER = "{ viewer { accountId } }"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "A" * 22 + "==",
}


async def test_a_process_with_all_its_sockets_refuses_more_with_a_reason_while_the_others_are_served() -> None:
    async with AsyncExitStack() as stack:
        api, sockets = await open_sockets(stack, GraphSettings(sockets_max=2), accounts=("alice", "bob"))

        refused = await api.http.get(api.url, headers=UPGRADE)

        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert await refused.text() == "This process has 2 sockets, as many as it may. Try again later."
        assert api.world.telemetry.counted(Metric.SOCKETS_REFUSED, limit="process") == 1
        for socket in sockets:
            await is_served(socket)
        assert (await api.answer(VIEWER))["data"]


async def test_a_socket_that_has_gone_makes_room_for_another() -> None:
    async with AsyncExitStack() as stack:
        api, (first, _) = await open_sockets(stack, GraphSettings(sockets_max=2), accounts=("alice", "alice"))
        await first.messages_until_closed()
        await until(lambda: api.world.telemetry.gauges[Metric.SOCKETS] == 1)

        async with raw_socket(api.port) as another:
            await another.introduce()
            await is_served(another)


async def test_an_account_with_all_its_sockets_gets_1013_and_others_are_accepted() -> None:
    async with AsyncExitStack() as stack:
        settings = GraphSettings(sockets_per_account=2)
        api, sockets = await open_sockets(stack, settings, accounts=("alice", "alice"))

        async with raw_socket(api.port) as third:
            await third.send(text(init(token("alice"))))
            assert await third.closed() == (1013, "The account has 2 sockets, as many as it may")
        async with raw_socket(api.port) as other:
            await other.introduce(token("bob"))
            await is_served(other)
        await is_served(sockets[0])


async def test_an_account_may_open_a_socket_again_when_one_of_its_own_has_gone() -> None:
    async with AsyncExitStack() as stack:
        settings = GraphSettings(sockets_per_account=1)
        api, (only,) = await open_sockets(stack, settings, accounts=("alice",))
        only.writer.transport.abort()
        await until(lambda: api.world.telemetry.gauges[Metric.SOCKETS] == 0)

        async with raw_socket(api.port) as another:
            await another.introduce()
            await is_served(another)


async def test_sockets_that_only_connect_cannot_block_a_regular_client() -> None:
    async with AsyncExitStack() as stack:
        settings = GraphSettings(sockets_waiting_max=3)
        api, _ = await open_sockets(stack, settings, accounts=())
        unauthenticated = [await stack.enter_async_context(raw_socket(api.port)) for _ in range(3)]

        honest = await stack.enter_async_context(raw_socket(api.port))
        await honest.introduce()

        assert await unauthenticated[0].closed() == (4408, "More than 3 sockets wait for connection_init")
        await is_served(honest)
        await unauthenticated[1].introduce()


async def test_an_authenticated_socket_never_makes_room_for_others() -> None:
    async with AsyncExitStack() as stack:
        settings = GraphSettings(sockets_waiting_max=1)
        api, (honest,) = await open_sockets(stack, settings, accounts=("alice",))
        for _ in range(5):
            await stack.enter_async_context(raw_socket(api.port))

        await is_served(honest)


@pytest.mark.parametrize("seconds", [0.0, 0.5])
async def test_a_flood_costs_its_own_socket_only(seconds: float) -> None:
    async with AsyncExitStack() as stack:
        api, (flooding, honest) = await open_sockets(stack, GraphSettings(), accounts=("alice", "bob"))
        await asyncio.wait([asyncio.create_task(_flood(flooding))], timeout=seconds)

        await is_served(honest)
        assert (await flooding.closed())[0] == 4429
        await until(lambda: api.world.telemetry.gauges[Metric.SOCKETS] == 1)


async def open_sockets(
    stack: AsyncExitStack, settings: GraphSettings, *, accounts: tuple[str, ...]
) -> tuple[Api, list[RawSocket]]:
    """Run the API with these settings, and an authenticated socket for each account."""
    api = await stack.enter_async_context(running_api(World(settings=settings)))
    sockets = [await stack.enter_async_context(raw_socket(api.port)) for _ in accounts]
    for socket, account in zip(sockets, accounts, strict=True):
        await socket.introduce(token(account))
    return api, sockets


async def is_served(socket: RawSocket) -> None:
    """Send a query, and receive the answer."""
    await socket.send(subscribe(VIEWER, key="served"))
    assert (await socket.receive())["type"] == "next"
    assert await socket.receive() == {"id": "served", "type": "complete"}


async def _flood(socket: RawSocket) -> None:
    for _ in range(50):
        await socket.send(text({"type": "pong"}) * LIMITS.frames_burst)
