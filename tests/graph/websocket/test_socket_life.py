"""The life of a socket: what ends it, and that its resources are freed then."""

import asyncio
import math
import time
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from domain.ports.telemetry import Metric
from graph.auth.bearer import TOKEN_LEEWAY
from graph.settings import GraphSettings
from tests.support.api_instruments import APPLE
from tests.support.api_server import Api, running_api, token, until
from tests.support.api_world import World
from tests.support.graphql_orders import key_of, placed_id

VIEWER = {"query": "{ viewer { accountId } }"}
UPDATES = "subscription { orderUpdates { kind } }"


async def test_a_completed_subscription_frees_its_feed_and_its_id(api: Api) -> None:
    async with api.conversation() as socket:
        await socket.subscribe(UPDATES)
        await socket.next_data()
        await socket.send({"id": "1", "type": "complete"})
        await until(lambda: api.world.feed.open_feeds == 0)

        await socket.subscribe(UPDATES)
        assert (await socket.next_data())["orderUpdates"] == {"kind": "CHECKPOINT"}


async def test_a_peer_that_vanishes_frees_everything_that_it_held(api: Api) -> None:
    async with api.conversation() as socket:
        for key in ("1", "2", "3"):
            await socket.subscribe(UPDATES, key=key)
            await socket.next_data()
        assert api.world.feed.open_feeds == 3
        socket.connection.transport.abort()

        await until(lambda: api.world.feed.open_feeds == 0)
    await until(lambda: api.world.telemetry.gauges[Metric.SOCKETS] == 0)


async def test_a_peer_that_leaves_while_something_is_sent_is_no_error(api: Api) -> None:
    order_id = await placed_id(api)
    # It no longer reads while closing, so it would wait in vain for the server's close frame.
    async with api.socket(close_timeout=0.2) as socket:
        await socket.introduce(token())
        for key in map(str, range(50)):
            await socket.subscribe("subscription { orderUpdates { kind } }", key=key)
            await socket.next_data()
        closing = asyncio.create_task(socket.connection.close())
        while not closing.done():
            await api.world.flood(key_of(order_id), changes=1)
            await asyncio.wait([closing], timeout=0.001)

        await until(lambda: api.world.feed.open_feeds == 0)
    assert api.world.telemetry.said("unexpected_error") == []


async def test_a_socket_closes_with_4403_once_its_token_is_no_longer_taken(api: Api) -> None:
    async with api.conversation(token(ttl=timedelta(seconds=1.5) - TOKEN_LEEWAY)) as socket:
        await socket.subscribe(UPDATES)
        await socket.next_data()

        assert await socket.closed() == 4403
    await until(lambda: api.world.feed.open_feeds == 0)


async def test_a_token_that_is_valid_only_by_leeway_opens_no_socket_for_long(api: Api) -> None:
    async with api.conversation(token(ttl=timedelta(seconds=1.1) - TOKEN_LEEWAY)) as socket:
        assert await socket.closed() == 4403


async def test_a_socket_that_never_introduces_itself_closes_with_4408() -> None:
    settings = GraphSettings(socket_init_timeout_seconds=0.05)
    async with running_api(World(settings=settings)) as api, api.socket() as socket:
        await socket.send({"type": "ping"})

        assert await socket.receive() == {"type": "pong"}
        assert await socket.closed() == 4408


async def test_a_socket_holds_no_more_operations_than_allowed() -> None:
    settings = GraphSettings(subscriptions_per_socket=2)
    async with running_api(World(settings=settings)) as api, api.conversation() as socket:
        for key in ("1", "2"):
            await socket.subscribe(UPDATES, key=key)
            await socket.next_data()
        await socket.subscribe(UPDATES, key="3")

        message = await socket.receive()

    assert (message["id"], message["type"]) == ("3", "error")
    assert message["payload"][0]["extensions"] == {"code": "TOO_MANY_OPERATIONS"}


async def test_a_peer_that_stops_reading_is_cut_off() -> None:
    settings = GraphSettings(socket_send_timeout_seconds=0.2)
    async with running_api(World(settings=settings)) as api, api.conversation() as socket:
        await api.world.catalog.save([replace(APPLE, name="A" * 200_000)])
        order_id = await placed_id(api)
        await socket.subscribe("subscription { orderUpdates { kind order { instrument { name } } } }")
        await socket.next_data()
        socket.connection.transport.pause_reading()
        await api.world.flood(key_of(order_id), changes=500)

        await until(lambda: api.world.telemetry.said("socket_stalled"))
        await until(lambda: api.world.feed.open_feeds == 0)
        socket.connection.transport.abort()


async def test_a_socket_is_open_for_as_long_as_its_token_is_taken_over_http(api: Api) -> None:
    ends_at = math.floor(time.time()) + 2
    bearer = token(exp=ends_at + 0.9 - TOKEN_LEEWAY.total_seconds())
    async with api.conversation(bearer) as socket:
        closing = asyncio.create_task(socket.closed())
        answered_at = time.time()
        while (await api.post(VIEWER, authorization=f"Bearer {bearer}")).status == HTTPStatus.OK:
            answered_at = time.time()
            await asyncio.sleep(0.02)
        refused_at = time.time()
        code = await closing
        closed_at = time.time()

    assert code == 4403
    assert answered_at < ends_at + 0.1
    assert ends_at <= refused_at < ends_at + 0.5
    assert ends_at <= closed_at < ends_at + 0.5


async def test_the_bearer_of_a_token_without_a_scope_may_connect_and_is_refused_what_needs_one(api: Api) -> None:
    async with api.conversation(token(scopes=())) as socket:
        await socket.subscribe(UPDATES)
        message = await socket.receive()
        await socket.subscribe("{ viewer { scopes } }")

        assert await socket.next_data() == {"viewer": {"scopes": []}}

    assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")


async def test_an_expiry_that_is_far_away_does_not_prevent_a_socket_from_opening(api: Api) -> None:
    async with api.conversation(token(ttl=timedelta(days=36_500))) as socket:
        await socket.subscribe("{ viewer { accountId } }")

        assert await socket.next_data() == {"viewer": {"accountId": "alice"}}
