"""Deliver: a change to 1, 100 and 5 000 subscribers of one process; then 5 000 subscribers, 1 000 changes a second.

The changes are committed before, then published one by one; the time is measured from the first message to the last
frame. The floors: the websocket library's own send of the same bytes to the same number of connections, and plain
Strawberry.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from redis.asyncio import Redis
from uuid_utils.compat import uuid7

from benchmarks.floors import plain_subscription, websocket_send
from benchmarks.frame.bench import Bench, Contender
from benchmarks.frame.load import Driver, LoadFailedError, load_generator
from benchmarks.frame.machine import CpuMeter, memory_bytes
from benchmarks.frame.orders import accept_orders, open_clerk, settle
from benchmarks.frame.results import Ratio, Sample, StageResult
from benchmarks.frame.servers import BROADCAST_KEY, Server, open_gateway, token
from benchmarks.load.http import percentile
from benchmarks.signing import measure_signing
from broadcast.envelope import MessageSigner
from broadcast.messages import encode
from domain.model.changes import RecordedChange
from domain.model.executions import Trade
from domain.model.reports import OrderFilled
from tests.support.examples import now
from tests.support.store_driver import Clerk

SUBSCRIBERS = (1, 100, 5_000)
SHORT_SUBSCRIBERS = (100,)
FRAMES = 20_000
SHORT_FRAMES = 4_000
MEMORY_SUBSCRIBERS_MIN = 1_000
CHANGES_MAX = 200
"""At once: fewer than a subscriber's buffer holds, or it would be brought up to date from the database."""
LIVE_SUBSCRIBERS, LIVE_RATE = 5_000, 1_000
SHORT_LIVE_SUBSCRIBERS, SHORT_LIVE_RATE = 500, 500
LIVE_SECONDS = 5.0
STEP_SECONDS = 0.01
HEARD_WITHIN_SECONDS = 60.0
SETTINGS = {
    "SOCKETS_PER_ACCOUNT_MAX": "10000",
    "SOCKETS_WAITING_MAX": "10000",
    "SOCKETS_OPENED_PER_SECOND_MAX": "10000",
    "REQUESTS_PER_SECOND_MAX": "100000",
    "REQUESTS_BURST_MAX": "100000",
    "HTTP_CONNECTIONS_MAX": "20000",
    # A comparison meanwhile would read committed changes that are not yet published.
    "POSITIONS_COMPARED_EVERY_SECONDS": "600",
}
FOLLOW = """subscription Follow {
  orderUpdates {
    kind cursor
    order { id status version filledQuantity averagePrice }
    change { kind version execution { quantity price executedAt } }
  }
}"""
OURS, SEND, PLAIN = "fillwire", "the library's send alone", "plain Strawberry"
UNIT = "frames/s"
ACCOUNT = "followed"
OPENING_FRAMES = 2
"""The acknowledgement and the checkpoint; plain Strawberry has no checkpoint."""
SIGNER = MessageSigner([BROADCAST_KEY.encode()])
ONE, PRICE = Decimal(1), Decimal("189.50")


async def measure(bench: Bench) -> StageResult:
    """Measure the signature of a message, the fan-out, then many live subscriptions."""
    result = StageResult()
    await measure_signing(bench, result)
    for subscribers in SHORT_SUBSCRIBERS if bench.is_short else SUBSCRIBERS:
        await measure_fan_out(bench, result, subscribers)
    await measure_live(bench, result)
    return result


async def measure_fan_out(bench: Bench, result: StageResult, subscribers: int) -> None:
    """Measure the same changes to that number of subscribers, with the product and both floors."""
    changes = min(CHANGES_MAX, max(2, (SHORT_FRAMES if bench.is_short else FRAMES) // subscribers))
    async with (
        open_gateway(bench, SETTINGS) as gateway,
        load_generator() as ours_load,
        load_generator() as send_load,
        load_generator() as plain_load,
        Redis.from_url(gateway.redis_url) as redis,
        open_clerk(gateway.database_url) as clerk,
    ):
        # Stored before any subscription: it is not published, so a subscriber would find it missing later.
        writer = Writer(clerk, await accept_orders(gateway.database_url, changes, accounts=[ACCOUNT]))
        api = await gateway.start("api")
        empty = memory_bytes(api.pid)
        await follow(ours_load, api, [ACCOUNT], subscribers)
        held = (memory_bytes(api.pid) - empty) / subscribers / 1_000
        await settle(1.0)
        sender = await gateway.run(["-m", "benchmarks.floors.websocket_send"])
        await send_load.order("listen", port=sender.port, says=[[]], count=subscribers, opening=0)
        plain = await gateway.run(["-m", "benchmarks.floors.plain_subscription"])
        await follow(plain_load, plain, [ACCOUNT], subscribers, opening=1)
        frame = await one_frame(writer, redis, ours_load, subscribers)

        async def ours() -> Sample:
            messages = [message_of(change) for change in await writer.fill()]
            return await fan_out(redis, ours_load, api, messages, subscribers)

        def floor(channel: str, message: str, load: Driver, server: Server) -> Callable[[], Awaitable[Sample]]:
            messages = [(channel.encode(), message.encode())] * changes
            return lambda: fan_out(redis, load, server, messages, subscribers)

        contenders: Mapping[str, Contender] = {
            f"{OURS}, {subscribers}": ours,
            f"{SEND}, {subscribers}": floor(websocket_send.CHANNEL, frame, send_load, sender),
            f"{PLAIN}, {subscribers}": floor(plain_subscription.CHANNEL, plain_event(frame), plain_load, plain),
        }
        rounds = await bench.take_turns(contenders)
    result.add(rounds)
    of = partial(result.compare, measured=(rounds, f"{OURS}, {subscribers}"), unit=UNIT)
    of(f"of {SEND}, {subscribers}", limit=(rounds, f"{SEND}, {subscribers}"), at_least=0.5)
    # For one subscriber even the library's bare send is less than eight times as fast as plain Strawberry.
    times = 8 if subscribers > 1 else None
    of(f"times {PLAIN}, {subscribers}", limit=(rounds, f"{PLAIN}, {subscribers}"), at_least=times)
    if subscribers >= MEMORY_SUBSCRIBERS_MIN:
        result.ratios.append(
            Ratio(name=f"kB a subscriber, {subscribers}", samples=[held], target=50, is_at_most=True, is_absolute=True)
        )


async def measure_live(bench: Bench, result: StageResult) -> None:
    """Measure one account for each subscriber, each with one order, and changes spread over them at a steady rate."""
    subscribers, rate = (SHORT_LIVE_SUBSCRIBERS, SHORT_LIVE_RATE) if bench.is_short else (LIVE_SUBSCRIBERS, LIVE_RATE)
    accounts = [f"live-{number}" for number in range(subscribers)]
    async with (
        open_gateway(bench, SETTINGS) as gateway,
        load_generator() as load,
        Redis.from_url(gateway.redis_url) as redis,
        open_clerk(gateway.database_url) as clerk,
    ):
        orders = await accept_orders(gateway.database_url, subscribers, accounts=accounts)
        api = await gateway.start("api")
        await follow(load, api, accounts, subscribers)
        await settle(1.0)
        writer = Writer(clerk, orders)

        async def live() -> Sample:
            return await trickle(writer, redis, load, api, rate=rate, seconds=min(LIVE_SECONDS, 2 * bench.seconds))

        rounds = await bench.take_turns({f"{OURS}, {subscribers} live, {rate}/s": live})
    result.add(rounds)
    (name,) = rounds.taken
    result.ratios.append(
        Ratio(
            name=f"p99 ms, {subscribers} live",
            samples=rounds.samples(name, "p99 ms"),
            target=250,
            is_at_most=True,
            is_absolute=True,
        )
    )


@dataclass(slots=True)
class Writer:
    """Fills orders, a share at a time, in the database."""

    clerk: Clerk
    orders: Sequence[UUID]
    filled: int = 0

    async def fill(self, orders: Sequence[UUID] | None = None) -> Sequence[RecordedChange]:
        """Execute each of the orders once, in one commit; return the changes, not yet published."""
        return await self.clerk.record({order_id: [self._fill()] for order_id in orders or self.orders})

    def _fill(self) -> OrderFilled:
        self.filled += 1
        return OrderFilled(
            venue_execution_id=str(uuid7()),
            trade=Trade(quantity=ONE, price=PRICE),
            cumulative_quantity=None,
            venue_order_id=None,
            at=now(),
        )


async def follow(
    load: Driver, server: Server, accounts: Sequence[str], count: int, *, opening: int = OPENING_FRAMES
) -> None:
    """Open that number of sockets that follow the accounts in turn."""
    subscribe = {"id": "1", "type": "subscribe", "payload": {"query": FOLLOW}}
    says = [
        [
            orjson.dumps(
                {"type": "connection_init", "payload": {"Authorization": f"Bearer {token(account)}"}}
            ).decode(),
            orjson.dumps(subscribe).decode(),
        ]
        for account in accounts
    ]
    await load.order("listen", port=server.port, says=says, count=count, opening=opening)


async def fan_out(
    redis: Redis, load: Driver, server: Server, messages: Sequence[tuple[bytes, bytes]], subscribers: int
) -> Sample:
    """Publish the messages, and wait until every subscriber has received a frame for each."""
    frames = len(messages) * subscribers
    await load.order("reset")
    meter = CpuMeter({"server": server.pid})
    spent = meter.read()
    began = time.perf_counter()
    async with redis.pipeline(transaction=False) as pipeline:
        for channel, message in messages:
            pipeline.publish(channel, message)
        await pipeline.execute()
    heard = (await hear(load, frames))["times"]
    if any(len(times) != len(messages) for times in heard):
        raise LoadFailedError(
            f"of {len(messages)} changes the subscribers heard {sorted({len(times) for times in heard})}"
        )
    last = max(times[-1] for times in heard)
    return {
        UNIT: frames / (last - began),
        "ms to the last": (last - began) * 1_000 / len(messages),
        **meter.since(spent, per=frames, of="frame"),
    }


async def trickle(writer: Writer, redis: Redis, load: Driver, server: Server, *, rate: int, seconds: float) -> Sample:
    """Change one order after the other at the rate; return the time of each change from its publishing to its
    subscriber.
    """
    step = round(rate * STEP_SECONDS)
    steps = round(seconds / STEP_SECONDS)
    published: dict[int, list[float]] = {}
    await load.order("reset")
    meter = CpuMeter({"server": server.pid})
    spent = meter.read()
    loop = asyncio.get_running_loop()
    due = began = loop.time()
    for number in range(steps):
        chosen = [(number * step + place) % len(writer.orders) for place in range(step)]
        changes = await writer.fill([writer.orders[place] for place in chosen])
        moment = time.perf_counter()
        async with redis.pipeline(transaction=False) as pipeline:
            for change in changes:
                pipeline.publish(*message_of(change))
            await pipeline.execute()
        for place in chosen:
            published.setdefault(place, []).append(moment)
        due += STEP_SECONDS
        await asyncio.sleep(max(due - loop.time(), 0))
    written = loop.time() - began
    heard = (await hear(load, steps * step))["times"]
    late = sorted(
        (at - moment) * 1_000
        for place, moments in published.items()
        for moment, at in zip(moments, heard[place], strict=True)
    )
    return {
        "changes/s": len(late) / written,
        "p50 ms": percentile(late, 0.5),
        "p99 ms": percentile(late, 0.99),
        **meter.since(spent, per=len(late), of="change"),
    }


async def hear(load: Driver, frames: int) -> dict[str, Any]:
    """Return when each subscriber received each frame. Raises LoadFailedError when some are missing."""
    heard = await load.order("hear", wanted=frames, within_seconds=HEARD_WITHIN_SECONDS)
    if heard["errors"]:
        raise LoadFailedError(heard["error"])
    return heard


async def one_frame(writer: Writer, redis: Redis, load: Driver, subscribers: int) -> str:
    """Return what the API sends for one change."""
    change, *_ = await writer.fill(writer.orders[:1])
    await load.order("reset")
    await redis.publish(*message_of(change))
    return str((await hear(load, subscribers))["last"])


def message_of(change: RecordedChange) -> tuple[bytes, bytes]:
    """Return the channel and the message of one change, as the publisher would send it."""
    message = encode([change], signer=SIGNER)
    return message.channel, message.raw


def plain_event(frame: str) -> str:
    """Return the same event for plain Strawberry."""
    update = orjson.loads(frame)["payload"]["data"]["orderUpdates"]
    order, execution = update["order"], update["change"]["execution"]
    event = {
        "cursor": update["cursor"],
        "order": order["id"],
        "status": order["status"],
        "version": str(order["version"]),
        "filled": order["filledQuantity"],
        "quantity": execution["quantity"],
        "price": execution["price"],
        "at": execution["executedAt"],
    }
    return orjson.dumps(event).decode()
