"""The first half of a pipe without domain or GraphQL: the exchange's stream into one table, then to Redis as it is."""

import asyncio
import os
from contextlib import suppress

import asyncpg
import orjson
import uvloop
from redis.asyncio import Redis
from websockets.asyncio.client import connect

CHANNEL = "bench:pipe"
BATCH_MAX = 500
BATCH_SECONDS = 0.005
TABLE = "CREATE TABLE IF NOT EXISTS pipe (execution_id text PRIMARY KEY, raw bytea NOT NULL)"
INSERT = "INSERT INTO pipe SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING"


async def main() -> None:
    """Read, store, pass on, until stopped."""
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    database = await asyncpg.connect(os.environ["DATABASE_URL"])
    await database.execute(TABLE)
    async with (
        Redis.from_url(os.environ["REDIS_URL"], protocol=2) as redis,
        connect(os.environ["EXCHANGE_STREAM_URL"], compression=None, proxy=None) as stream,
        asyncio.TaskGroup() as tasks,
    ):
        await stream.send(
            orjson.dumps({"action": "authenticate", "data": {"key_id": "simulator", "secret_key": "simulator"}})
        )
        await stream.recv()
        await stream.send(orjson.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        await stream.recv()
        server = await asyncio.start_server(_answer_health, "127.0.0.1", int(os.environ["PORT"]))
        tasks.create_task(server.serve_forever())
        tasks.create_task(_pass_on(frames, database, redis))
        async for frame in stream:
            frames.put_nowait(frame if isinstance(frame, bytes) else frame.encode())


async def _pass_on(frames: asyncio.Queue[bytes], database: "asyncpg.Connection[asyncpg.Record]", redis: Redis) -> None:
    while True:
        batch = await _next_batch(frames)
        ids = [str(orjson.loads(frame)["data"].get("execution_id", "")) for frame in batch]
        await database.execute(INSERT, ids, batch)
        async with redis.pipeline(transaction=False) as pipeline:
            for frame in batch:
                pipeline.publish(CHANNEL, frame)
            await pipeline.execute()


async def _next_batch(frames: asyncio.Queue[bytes]) -> list[bytes]:
    batch = [await frames.get()]
    with suppress(TimeoutError):
        async with asyncio.timeout(BATCH_SECONDS):
            while len(batch) < BATCH_MAX:
                batch.append(await frames.get())
    return batch


async def _answer_health(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    writer.close()


if __name__ == "__main__":
    uvloop.run(main())
