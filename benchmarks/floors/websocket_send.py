"""The floor of delivering: the websocket library's own send, to every connection, of each message that Redis brings."""

import asyncio

import uvloop
from websockets.asyncio.server import ServerConnection

from benchmarks.floors.sockets import serving_sockets

CHANNEL = "bench:send"


async def main() -> None:
    """Serve on PORT until stopped."""
    connections: set[ServerConnection] = set()

    async def stay(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()
        connections.discard(connection)

    async with serving_sockets(stay, channel=CHANNEL) as subscription:
        async for message in subscription.listen():
            text = message["data"].decode()
            for connection in connections:
                await connection.send(text)
            await asyncio.sleep(0)


if __name__ == "__main__":
    uvloop.run(main())
