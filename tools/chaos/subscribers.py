"""The subscribers: graphql-transport-ws over both APIs. They reconnect from their positions, and record every message.

A third follows accounts, each from the beginning to the end of the run. The others follow one new order of their
account after the other, on one connection as long as it lasts. There are more accounts than followed ones, so that a
change is sent to one or two subscribers: the clients must not take processor time from the system under test.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from sys import intern
from typing import Any
from uuid import UUID

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from graph.schema.cursors import read_stream_cursor, write_stream_cursor
from graph.schema.global_ids import order_node_id
from tools.chaos.clients import Clients, account
from tools.chaos.evidence import Following, Message, Session, one
from tools.chaos.history import History
from tools.chaos.load import order_id_of

FOLLOWS_ACCOUNT_EVERY = 3
SESSION_MIN_SECONDS = 3.0
SESSION_MAX_SECONDS = 40.0
RECONNECT_MIN_SECONDS = 0.2
RECONNECT_MAX_SECONDS = 2.0
OPEN_TIMEOUT_SECONDS = 4.0
CLOSE_TIMEOUT_SECONDS = 1.0
FRESH_ORDERS_MAX = 3
NEXT_ORDER_MIN_SECONDS = 0.5
NEXT_ORDER_MAX_SECONDS = 4.0
TRY_AGAIN = frozenset({"UNAVAILABLE", "TIMED_OUT"})
ERROR_MAX_CHARACTERS = 300
LOST = (OSError, TimeoutError, WebSocketException)

FOLLOW_ACCOUNT = """
subscription Follow($after: String) {
  orderUpdates(after: $after) { kind cursor order { id status filledQuantity } change { version } }
}
"""
FOLLOW_ORDER = """
subscription Follow($id: ID!, $after: Int) {
  orderStatus(orderId: $id, afterVersion: $after) {
    kind order { id version status filledQuantity venueFilledQuantity }
  }
}
"""

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Subscribers:
    """All subscribers. `followings` are their records."""

    clients: Clients
    history: History
    seed: int
    count: int
    followings: list[Following] = field(default_factory=list)
    messages: int = 0
    reconnects: int = 0
    _fresh: defaultdict[str, deque[str]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=FRESH_ORDERS_MAX))
    )
    _no_new_orders: bool = False

    def offer(self, account_id: str, node_id: str) -> None:
        """Add an order that can be followed."""
        self._fresh[account_id].append(node_id)

    def settle(self) -> None:
        """Stop taking up further orders, and leaving by themselves, for all subscribers."""
        self._no_new_orders = True

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.count):
                tasks.create_task(self._subscribe(number))

    async def _subscribe(self, number: int) -> None:
        """Subscribe repeatedly, until there is nothing left to follow."""
        random = Random(f"{self.seed}:subscriber:{number}")
        follows_account = number % FOLLOWS_ACCOUNT_EVERY == 0
        account_id = account(number // FOLLOWS_ACCOUNT_EVERY if follows_account else number)
        current: Following | None = None
        if follows_account:
            current = self._begin(number, account_id)
        pause_max, messages = RECONNECT_MIN_SECONDS, 0
        while not self._is_done(current):
            try:
                async with self._connected(account_id, random) as socket:
                    if follows_account and current is not None:
                        await self._follow(socket, current)
                    else:
                        async for following in self._orders(number, account_id, current, random):
                            current = following
                            await self._follow(socket, following)
            except LOST as error:
                self.history.note("lost", subscriber=number, error=type(error).__name__)
            # A client without success reconnects at growing intervals.
            seen = 0 if current is None else sum(len(session.messages) for session in current.sessions)
            pause_max = RECONNECT_MIN_SECONDS if seen != messages else min(pause_max * 2, RECONNECT_MAX_SECONDS)
            messages = seen
            self.reconnects += 1
            await asyncio.sleep(random.uniform(pause_max / 2, pause_max))

    def _is_done(self, current: Following | None) -> bool:
        return self._no_new_orders and (current is None or current.is_over)

    async def _orders(
        self, number: int, account_id: str, current: Following | None, random: Random
    ) -> AsyncIterator[Following]:
        """Yield what to follow next: unfinished ones, then one new order of the account after the other."""
        if current is not None and not current.is_over:
            yield current
        while not self._no_new_orders:
            await asyncio.sleep(random.uniform(NEXT_ORDER_MIN_SECONDS, NEXT_ORDER_MAX_SECONDS))
            if self._fresh[account_id] and not self._no_new_orders:
                yield self._begin(number, account_id, order_id=self._fresh[account_id].pop())

    def _begin(self, number: int, account_id: str, *, order_id: str | None = None) -> Following:
        following = Following(
            subscriber=number, account_id=account_id, order_id=None if order_id is None else order_id_of(order_id)
        )
        self.followings.append(following)
        return following

    @asynccontextmanager
    async def _connected(self, account_id: str, random: Random) -> AsyncIterator[ClientConnection]:
        """Open an acknowledged connection, which the client leaves by itself after a while. Raise one of LOST."""
        api = self.clients.choose(random.randrange(len(self.clients.urls)))
        leaves_after = random.uniform(SESSION_MIN_SECONDS, SESSION_MAX_SECONDS)
        async with AsyncExitStack() as stack:
            try:
                opening = _socket(self.clients.urls[api], token=self.clients.token(account_id))
                socket = await stack.enter_async_context(opening)
            except ConnectionRefusedError:
                self.clients.avoid(api)
                raise
            async with asyncio.timeout(None if self._no_new_orders else leaves_after):
                yield socket

    async def _follow(self, socket: ClientConnection, following: Following) -> None:
        """Follow until the server completes; returning before `following` is over requests another call."""
        session = Session(after=following.last_place)
        following.sessions.append(session)
        await socket.send(orjson.dumps(_subscribe_message(following, session)).decode())
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
                    raise ConnectionAbortedError
                case "ping":
                    await socket.send('{"type":"pong"}')
        raise ConnectionResetError

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
        """Record an error: one that allows a retry is like a lost connection, any other is a fault of the server."""
        codes = [error.get("extensions", {}).get("code", "") for error in errors]
        self.history.note("error", subscriber=following.subscriber, codes=codes)
        if not codes or not TRY_AGAIN.issuperset(codes):
            following.errors.append(str(errors)[:ERROR_MAX_CHARACTERS])


@asynccontextmanager
async def _socket(url: str, *, token: str) -> AsyncIterator[ClientConnection]:
    """Open a connection and wait until it is acknowledged. Raise one of LOST."""
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


def _subscribe_message(following: Following, session: Session) -> Json:
    if following.order_id is None:
        cursor = None if session.after is None else write_stream_cursor(session.after)
        payload = {"query": FOLLOW_ACCOUNT, "variables": {} if cursor is None else {"after": cursor}}
    else:
        node_id = order_node_id(UUID(following.order_id))
        resumed = {} if session.after is None else {"after": session.after}
        payload = {"query": FOLLOW_ORDER, "variables": {"id": node_id} | resumed}
    return {"id": f"{id(session):x}", "type": "subscribe", "payload": payload}


def _account_message(data: Json) -> Message:
    update = data["orderUpdates"]
    order, change = update["order"], update["change"]
    return Message(
        kind=update["kind"],
        place=read_stream_cursor(update["cursor"]),
        order_id=order_id_of(order["id"]) if order else None,
        version=change["version"] if change else None,
        status=intern(order["status"]) if order else None,
        filled_quantity=one(order["filledQuantity"]) if order else None,
    )


def _order_message(data: Json) -> Message:
    update = data["orderStatus"]
    order = update["order"]
    return Message(
        kind=update["kind"],
        place=order["version"],
        order_id=order_id_of(order["id"]),
        version=order["version"],
        status=intern(order["status"]),
        filled_quantity=one(order["filledQuantity"]),
        shows_difference=order["venueFilledQuantity"] is not None,
    )
