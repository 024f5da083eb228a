"""Websockets of the library alone, beside the messages that Redis brings: what the floors of delivering share."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol


@asynccontextmanager
async def serving_sockets(
    stay: Callable[[ServerConnection], Awaitable[None]], *, channel: str
) -> AsyncIterator[PubSub]:
    """Serve websockets on PORT, each by `stay`; yield the subscription to the channel."""
    async with (
        Redis.from_url(os.environ["REDIS_URL"], protocol=2) as redis,
        redis.pubsub(ignore_subscribe_messages=True) as subscription,
        serve(
            stay,
            "127.0.0.1",
            int(os.environ["PORT"]),
            subprotocols=[Subprotocol("graphql-transport-ws")],
            compression=None,
            process_request=_answer_health,
        ),
    ):
        await subscription.subscribe(channel)
        yield subscription


def _answer_health(connection: ServerConnection, request: Request) -> Response | None:
    return connection.respond(HTTPStatus.OK, "") if request.path == "/healthz" else None
