"""The floor of delivering: the websocket library's own send, to every connection, of each message that Redis brings."""

import asyncio
import os
from http import HTTPStatus

import uvloop
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

CHANNEL = "bench:send"


async def main() -> None:
    """Serve on PORT until stopped."""
    connections: set[ServerConnection] = set()

    async def stay(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.discard(connection)

    def answer_health(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(HTTPStatus.OK, "") if request.path == "/healthz" else None

    async with (
        Redis.from_url(os.environ["REDIS_URL"], protocol=2) as redis,
        redis.pubsub(ignore_subscribe_messages=True) as subscription,
        serve(
            stay,
            "127.0.0.1",
            int(os.environ["PORT"]),
            subprotocols=[Subprotocol("graphql-transport-ws")],
            compression=None,
            process_request=answer_health,
        ),
    ):
        await subscription.subscribe(CHANNEL)
        async for message in subscription.listen():
            text = message["data"].decode()
            for connection in connections:
                await connection.send(text)
            await asyncio.sleep(0)


if __name__ == "__main__":
    uvloop.run(main())
