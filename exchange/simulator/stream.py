"""The execution stream: one websocket connection for the account, and its faults.

There is no replay: events without a connected client are lost to it, and the journal marks them.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal

import orjson
from aiohttp import WSMsgType, web

from exchange.simulator.faults import UNDISTURBED, DeliveryFate, StreamFaults
from exchange.simulator.journal import Entry, Journal
from exchange.simulator.refusals import Code, refusal
from exchange.simulator.rendering import NULL_UPDATE, trade_update

AUTHENTICATE_TIMEOUT_SECONDS = 10.0
HEARTBEAT_SECONDS = 30.0
BUFFER_MAX_FRAMES = 200_000
REORDER_HOLD_SECONDS = 0.25

Frames = Literal["binary", "text"]
_NO_FAULTS = StreamFaults()


class StreamSubscriber:
    """One client's websocket with its bounded buffer. Frames refer to their entry, if they have one."""

    def __init__(self, websocket: web.WebSocketResponse, *, request: web.BaseRequest, frames: Frames) -> None:
        self.is_authenticated = False
        self.is_listening = False
        self.unsent: deque[tuple[Entry | None, bytes]] = deque()
        self._websocket = websocket
        self._request = request
        self._frames = frames
        self._wake = asyncio.Event()

    def put(self, entry: Entry | None, frame: bytes) -> None:
        self.unsent.append((entry, frame))
        self._wake.set()

    async def write(self) -> None:
        """Send the buffered frames, until the connection ends."""
        try:
            while True:
                while self.unsent:
                    await self.send(self.unsent[0][1])
                    # Cutting the connection empties the buffer while a frame is on its way.
                    if self.unsent:
                        self.unsent.popleft()
                self._wake.clear()
                await self._wake.wait()
        except ConnectionError:
            # The client is gone. The reading side notices too and closes the connection.
            return

    async def send(self, frame: bytes) -> None:
        if self._frames == "binary":
            await self._websocket.send_bytes(frame)
        else:
            await self._websocket.send_str(frame.decode())

    def cut(self) -> None:
        """End the transport without a closing handshake, as a failing network does."""
        if self._request.transport is not None:
            self._request.transport.abort()


class TradeUpdates:
    """Sends every event to the one listener, subject to the stream's faults."""

    def __init__(self, *, key: str, secret: str, frames: Frames, journal: Journal) -> None:
        self._credentials = (key, secret)
        self._frames: Frames = frames
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._connection: StreamSubscriber | None = None
        self._slot_held_until = 0.0
        self._held_back: tuple[Entry, bytes] | None = None

    def publish(self, entry: Entry, *, faults: StreamFaults, draw: Callable[[StreamFaults], DeliveryFate]) -> None:
        """Send the event, unless it is withheld, or record in its entry why the client does not receive it."""
        if entry.withheld:
            return
        if self._listener() is None:
            entry.withheld = ("no_listener",)
            return
        if faults.mute:
            entry.withheld = ("muted",)
            return
        fate = UNDISTURBED if faults == _NO_FAULTS else draw(faults)
        if fate.is_dropped:
            entry.withheld = ("dropped",)
            return
        frame = trade_update(entry, has_timestamp=not fate.lacks_timestamp)
        if fate.lacks_timestamp:
            entry.disturbed = ("no_timestamp",)
        if faults.delay_ms:
            entry.disturbed = (*entry.disturbed, "delayed")
            self._loop.call_later(faults.delay_ms / 1000, partial(self._deliver_late, entry, frame, fate))
        else:
            self._deliver(entry, frame, fate)

    def disconnect(self, *, hold_slot_seconds: float) -> bool:
        """Close the connection, if there is one, and occupy its place for a while."""
        self._slot_held_until = self._loop.time() + hold_slot_seconds
        connection = self._connection
        if connection is None:
            return False
        self._release(connection)
        connection.cut()
        return True

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one handshake and its connection.

        Raises:
            RequestRefusedError: 429 while there is another connection.
        """
        if self._connection is not None or self._loop.time() < self._slot_held_until:
            raise refusal(Code.TOO_MANY_REQUESTS, "connection limit exceeded")
        # On one machine compression costs more than it saves.
        websocket = web.WebSocketResponse(compress=False, heartbeat=HEARTBEAT_SECONDS)
        connection = StreamSubscriber(websocket, request=request, frames=self._frames)
        # Set before the first await, so that two handshakes cannot both pass.
        self._connection = connection
        try:
            await websocket.prepare(request)
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(connection.write())
                await self._read(websocket, connection)
                writer.cancel()
        finally:
            self._release(connection)
        return websocket

    async def _read(self, websocket: web.WebSocketResponse, connection: StreamSubscriber) -> None:
        try:
            async with asyncio.timeout(AUTHENTICATE_TIMEOUT_SECONDS) as deadline:
                async for message in websocket:
                    if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                        break
                    self._obey(connection, message.data)
                    if connection.is_authenticated:
                        deadline.reschedule(None)
        except TimeoutError:
            await websocket.close()

    def _obey(self, connection: StreamSubscriber, text: str | bytes) -> None:
        try:
            message = orjson.loads(text)
            action, data = message["action"], message["data"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            _reply(connection, "error", {"error": "a message is an object with action and data"})
            return
        if action == "authenticate":
            self._authenticate(connection, data)
        elif not connection.is_authenticated:
            _reply(connection, "authorization", {"status": "unauthorized", "action": action})
        elif action == "listen":
            _listen(connection, data)

    def _authenticate(self, connection: StreamSubscriber, data: object) -> None:
        given = (data.get("key_id"), data.get("secret_key")) if isinstance(data, dict) else None
        connection.is_authenticated = given == self._credentials
        status = "authorized" if connection.is_authenticated else "unauthorized"
        _reply(connection, "authorization", {"status": status, "action": "authenticate"})

    def _listener(self) -> StreamSubscriber | None:
        connection = self._connection
        return connection if connection is not None and connection.is_listening else None

    def _deliver_late(self, entry: Entry, frame: bytes, fate: DeliveryFate) -> None:
        self._deliver(entry, frame, fate)
        if entry.withheld:
            self._journal.write(entry)

    def _deliver(self, entry: Entry, frame: bytes, fate: DeliveryFate) -> None:
        if fate.follows_null:
            self._put(None, NULL_UPDATE)
        if fate.is_held_back and self._held_back is None:
            entry.disturbed = (*entry.disturbed, "reordered")
            self._held_back = (entry, frame)
            self._loop.call_later(REORDER_HOLD_SECONDS, self._let_go)
            return
        self._put(entry, frame)
        if fate.is_duplicated:
            entry.disturbed = (*entry.disturbed, "duplicated")
            self._put(entry, frame)
        self._let_go()

    def _let_go(self) -> None:
        """Send the event that was held back: after the next one, or after a while."""
        if self._held_back is not None:
            entry, frame = self._held_back
            self._held_back = None
            self._put(entry, frame)
            if entry.withheld:
                self._journal.write(entry)

    def _put(self, entry: Entry | None, frame: bytes) -> None:
        connection = self._listener()
        if connection is None:
            _withhold(entry, "no_listener")
        elif len(connection.unsent) >= BUFFER_MAX_FRAMES:
            _withhold(entry, "overflow")
            self.disconnect(hold_slot_seconds=0)
        else:
            connection.put(entry, frame)

    def _release(self, connection: StreamSubscriber) -> None:
        """Free the place, and mark the events lost with the connection."""
        if self._connection is connection:
            self._connection = None
        for entry, _ in connection.unsent:
            _withhold(entry, "cut")
            if entry is not None:
                self._journal.write(entry)
        connection.unsent.clear()


def _withhold(entry: Entry | None, reason: str) -> None:
    if entry is not None and reason not in entry.withheld:
        entry.withheld = (*entry.withheld, reason)


def _reply(connection: StreamSubscriber, stream: str, data: dict[str, object]) -> None:
    connection.put(None, orjson.dumps({"stream": stream, "data": data}))


def _listen(connection: StreamSubscriber, data: object) -> None:
    """Set the list of streams; an empty list stops them."""
    asked = data.get("streams") if isinstance(data, dict) else None
    streams = [name for name in asked if name == "trade_updates"] if isinstance(asked, list) else []
    connection.is_listening = bool(streams)
    _reply(connection, "listening", {"streams": streams})
