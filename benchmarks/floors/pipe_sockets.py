"""The second half of the pipe: messages of Redis are sent unchanged to the websocket that named their order."""

import os
from http import HTTPStatus

import orjson
import uvloop
from redis.asyncio import Redis
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from benchmarks.floors.pipe_ingest import CHANNEL

OPENED = '{"type":"opened"}'


async def main() -> None:
    """Serve on PORT until stopped."""
    followers: dict[str, ServerConnection] = {}

    async def stay(connection: ServerConnection) -> None:
        order_id = str(await connection.recv())
        followers[order_id] = connection
        await connection.send(OPENED)
        await connection.wait_closed()
        del followers[order_id]

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
            frame = message["data"]
            connection = followers.get(orjson.loads(frame)["data"]["order"]["client_order_id"])
            if connection is not None:
                await connection.send(frame.decode())


if __name__ == "__main__":
    uvloop.run(main())
