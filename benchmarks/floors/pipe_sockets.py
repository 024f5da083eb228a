"""The second half of the pipe: messages of Redis are sent unchanged to the websocket that named their order."""

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection

from benchmarks.floors.pipe_ingest import CHANNEL
from benchmarks.floors.sockets import serving_sockets

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

    async with serving_sockets(stay, channel=CHANNEL) as subscription:
        async for message in subscription.listen():
            frame = message["data"]
            connection = followers.get(orjson.loads(frame)["data"]["order"]["client_order_id"])
            if connection is not None:
                await connection.send(frame.decode())


if __name__ == "__main__":
    uvloop.run(main())
