"""The subscribers: graphql-transport-ws over both APIs. They reconnect from where they were, and record every message.

A third follows accounts, each from the beginning to the end of the run. The others follow one order after the other.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from graph.cursors import read_stream_cursor, write_stream_cursor
from tests.chaos.clients import Clients, account
from tests.chaos.evidence import Following, Message, Session
from tests.chaos.history import History
from tests.chaos.load import order_id_of

FOLLOWS_ACCOUNT_EVERY = 3
SESSION_MIN_SECONDS = 3.0
SESSION_MAX_SECONDS = 40.0
RECONNECT_MIN_SECONDS = 0.2
RECONNECT_MAX_SECONDS = 2.0
OPEN_TIMEOUT_SECONDS = 4.0
CLOSE_TIMEOUT_SECONDS = 1.0
FRESH_ORDERS_MAX = 200
WAIT_FOR_ORDER_SECONDS = 0.2
TRY_AGAIN = "UNAVAILABLE"
ERROR_MAX_CHARACTERS = 300
LOST = (OSError, TimeoutError, WebSocketException)

FOLLOW_ACCOUNT = """
subscription Follow($after: String) {
  orderUpdates(after: $after) { kind cursor order { id status filledQuantity } change { version } }
}
"""
FOLLOW_ORDER = """
subscription Follow($id: ID!, $after: Int) {
  orderStatus(orderId: $id, afterVersion: $after) { kind order { id version status filledQuantity } }
}
"""

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Subscribers:
    """All of them. `followings` is what they have seen."""

    clients: Clients
    history: History
    seed: int
    count: int
    followings: list[Following] = field(default_factory=list)
    connected: int = 0
    messages: int = 0
    reconnects: int = 0
    _fresh: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=FRESH_ORDERS_MAX))
    _no_new_orders: bool = False

    def offer(self, account_id: str, node_id: str) -> None:
        """An order that can be followed."""
        self._fresh.append((account_id, node_id))

    def settle(self) -> None:
        """From here on nobody takes up another order, and nobody leaves by itself."""
        self._no_new_orders = True

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.count):
                tasks.create_task(self._subscribe(number))

    async def _subscribe(self, number: int) -> None:
        random = Random(f"{self.seed}:subscriber:{number}")
        if number % FOLLOWS_ACCOUNT_EVERY == 0:
            following = Following(subscriber=number, account_id=account(number // FOLLOWS_ACCOUNT_EVERY))
            await self._follow(following, {}, random)
            return
        while not self._no_new_orders:
            if not self._fresh:
                await asyncio.sleep(WAIT_FOR_ORDER_SECONDS)
                continue
            account_id, node_id = random.choice(self._fresh)
            following = Following(subscriber=number, account_id=account_id, order_id=order_id_of(node_id))
            await self._follow(following, {"id": node_id}, random)

    async def _follow(self, following: Following, variables: Json, random: Random) -> None:
        """Follow to the end, over any number of connections."""
        self.followings.append(following)
        pause_max = RECONNECT_MIN_SECONDS
        while not following.is_over:
            session = Session(after=following.last_place)
            following.sessions.append(session)
            try:
                await self._stay(following, session, variables, random)
            except LOST as error:
                self.history.note("lost", subscriber=following.subscriber, error=type(error).__name__)
            # A client that gets nowhere comes back more and more slowly.
            pause_max = RECONNECT_MIN_SECONDS if session.messages else min(pause_max * 2, RECONNECT_MAX_SECONDS)
            if not following.is_over:
                self.reconnects += 1
                await asyncio.sleep(random.uniform(pause_max / 2, pause_max))

    async def _stay(self, following: Following, session: Session, variables: Json, random: Random) -> None:
        """One connection: until the server completes, the connection is lost, or the client leaves by itself."""
        url = self.clients.urls[random.randrange(len(self.clients.urls))]
        leaves_after = random.uniform(SESSION_MIN_SECONDS, SESSION_MAX_SECONDS)
        async with _connected(url, token=self.clients.token(following.account_id)) as socket:
            self.connected += 1
            try:
                await socket.send(orjson.dumps(_subscribe_message(following, session, variables)).decode())
                async with asyncio.timeout(None if self._no_new_orders else leaves_after):
                    await self._receive(socket, following, session)
            finally:
                self.connected -= 1

    async def _receive(self, socket: ClientConnection, following: Following, session: Session) -> None:
        async for frame in socket:
            message = orjson.loads(frame)
            match message["type"]:
                case "next":
                    self._note(following, session, message["payload"])
                case "complete":
                    session.completed = True
                    return
                case "error":
                    self._note_error(following, message["payload"])
                    return
                case "ping":
                    await socket.send('{"type":"pong"}')

    def _note(self, following: Following, session: Session, payload: Json) -> None:
        if payload.get("errors") or payload.get("data") is None:
            self._note_error(following, payload.get("errors") or [])
            return
        message = _account_message(payload["data"]) if following.order_id is None else _order_message(payload["data"])
        session.messages.append(message)
        self.messages += 1
        self.history.note(
            "message",
            subscriber=following.subscriber,
            of=following.order_id or following.account_id,
            message=message.kind,
            place=message.place,
            order_id=message.order_id,
            version=message.version,
            status=message.status,
        )

    def _note_error(self, following: Following, errors: list[Json]) -> None:
        """An error that asks to come again is like a lost connection; any other is held against the server."""
        codes = [error.get("extensions", {}).get("code", "") for error in errors]
        self.history.note("error", subscriber=following.subscriber, codes=codes)
        if set(codes) != {TRY_AGAIN}:
            following.errors.append(str(errors)[:ERROR_MAX_CHARACTERS])


@asynccontextmanager
async def _connected(url: str, *, token: str) -> AsyncIterator[ClientConnection]:
    """An acknowledged connection. Raises one of LOST."""
    async with connect(
        f"{url.replace('http', 'ws', 1)}/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        proxy=None,
        compression=None,
        open_timeout=OPEN_TIMEOUT_SECONDS,
        close_timeout=CLOSE_TIMEOUT_SECONDS,
        ping_interval=None,
    ) as socket:
        introduction = {"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}}
        await socket.send(orjson.dumps(introduction).decode())
        async with asyncio.timeout(OPEN_TIMEOUT_SECONDS):
            await socket.recv()
        yield socket


def _subscribe_message(following: Following, session: Session, variables: Json) -> Json:
    after: str | int | None = session.after
    if following.order_id is None and session.after is not None:
        after = write_stream_cursor(session.after)
    payload = {
        "query": FOLLOW_ACCOUNT if following.order_id is None else FOLLOW_ORDER,
        "variables": variables if after is None else {**variables, "after": after},
    }
    return {"id": "1", "type": "subscribe", "payload": payload}


def _account_message(data: Json) -> Message:
    update = data["orderUpdates"]
    order, change = update["order"], update["change"]
    return Message(
        kind=update["kind"],
        place=read_stream_cursor(update["cursor"]),
        order_id=order_id_of(order["id"]) if order else None,
        version=change["version"] if change else None,
        status=order["status"] if order else None,
        filled_quantity=Decimal(order["filledQuantity"]) if order else None,
    )


def _order_message(data: Json) -> Message:
    update = data["orderStatus"]
    order = update["order"]
    return Message(
        kind=update["kind"],
        place=order["version"],
        order_id=order_id_of(order["id"]),
        version=order["version"],
        status=order["status"],
        filled_quantity=Decimal(order["filledQuantity"]),
    )
