"""Plain Strawberry's way to deliver: a queue and a generator for each subscriber, executed by GraphQL at each event."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal

import orjson
import strawberry
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from benchmarks.floors.serving import HEALTH, serve

CHANNEL = "bench:plain"
queues: set[asyncio.Queue[dict[str, str]]] = set()


@strawberry.type
class Execution:
    """What was traded."""

    quantity: Decimal
    price: Decimal
    executed_at: datetime


@strawberry.type
class Change:
    """What happened."""

    kind: str
    version: int
    execution: Execution


@strawberry.type
class Order:
    """The order afterwards."""

    id: strawberry.ID
    status: str
    version: int
    filled_quantity: Decimal
    average_price: Decimal


@strawberry.type
class OrderStreamUpdate:
    """One event."""

    kind: str
    cursor: str
    order: Order
    change: Change


@strawberry.type
class Query:
    """A schema must have one."""

    @strawberry.field
    def ready(self) -> bool:
        """Whether it answers."""
        return True


@strawberry.type
class Subscription:
    """Everything that happens."""

    @strawberry.subscription
    async def order_updates(self) -> AsyncIterator[OrderStreamUpdate]:
        """Each event once."""
        queue: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        queues.add(queue)
        try:
            while True:
                yield update(await queue.get())
        finally:
            queues.discard(queue)


def update(event: dict[str, str]) -> OrderStreamUpdate:
    """Return the event as GraphQL renders it."""
    version, price = int(event["version"]), Decimal(event["price"])
    execution = Execution(
        quantity=Decimal(event["quantity"]), price=price, executed_at=datetime.fromisoformat(event["at"])
    )
    return OrderStreamUpdate(
        kind="CHANGE",
        cursor=event["cursor"],
        order=Order(
            id=strawberry.ID(event["order"]),
            status=event["status"],
            version=version,
            filled_quantity=Decimal(event["filled"]),
            average_price=price,
        ),
        change=Change(kind="FILL", version=version, execution=execution),
    )


@asynccontextmanager
async def listening(_application: Starlette) -> AsyncIterator[None]:
    """Pass the messages of Redis to every queue."""

    async def listen() -> None:
        async with (
            Redis.from_url(os.environ["REDIS_URL"], protocol=2) as redis,
            redis.pubsub(ignore_subscribe_messages=True) as subscription,
        ):
            await subscription.subscribe(CHANNEL)
            async for message in subscription.listen():
                event = orjson.loads(message["data"])
                for queue in queues:
                    queue.put_nowait(event)

    task = asyncio.create_task(listen())
    yield
    task.cancel()


if __name__ == "__main__":
    schema = strawberry.Schema(query=Query, subscription=Subscription, extensions=[ParserCache, ValidationCache])
    view: GraphQL[None, None] = GraphQL(
        schema, graphql_ide=None, subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,)
    )
    serve(
        Starlette(
            routes=[HEALTH, Route("/graphql", view), WebSocketRoute("/graphql", view)],
            lifespan=listening,
        )
    )
