"""HTTP/1.1 on reused connections, as fast as one Python process can send: no task and no future for a request.

An answer counts when its status is 200 and it contains the expected text; any other is an error and is reported.
"""

import asyncio
import itertools
import secrets
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

ID_CHARACTERS = 24
ID_PLACEHOLDER = "#" * ID_CHARACTERS
"""Stands in a request for an id that was never used before, of the same length."""
HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
OK = b"HTTP/1.1 200"
MILLISECONDS = 1_000
SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLoad:
    """The load: these requests in turn, from that number of connections, for that long. Without a `rate` each
    connection sends when it has its answer; with one, that number of requests begins each second.
    """

    port: int
    requests: Sequence[str]
    concurrency: int
    seconds: float
    expect: str
    warm_up_seconds: float = 0.2
    rate: float | None = None


def post(path: str, body: str, *, token: str | None = None) -> str:
    """Return the bytes of a POST request with a JSON body."""
    authorization = f"authorization: Bearer {token}\r\n" if token else ""
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: */*\r\n{authorization}"
        f"content-length: {len(body.encode())}\r\n\r\n{body}"
    )


async def ask(load: HttpLoad) -> dict[str, Any]:
    """Run the load; return the rate and the latencies, the errors, and the number of requests including the warm-up."""
    asking = _Asking(load=load, loop=asyncio.get_running_loop())
    connections = [await asking.connect() for _ in range(load.concurrency)]
    try:
        if load.rate is None:
            await asking.ask_in_circles(connections)
        else:
            await asking.ask_at_rate(connections, load.rate)
    finally:
        for connection in connections:
            connection.close()
    return asking.report()


@dataclass(slots=True)
class _Asking:
    load: HttpLoad
    loop: asyncio.AbstractEventLoop
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    error: str = ""
    errors: int = 0
    sent: int = 0
    seconds: float = 0.0
    is_counting: bool = False
    is_over: bool = False
    _requests: Iterator[bytes] = field(default_factory=lambda: iter(()))
    _has_ids: bool = False
    _ids: Iterator[int] = field(default_factory=itertools.count)
    _prefix: str = field(default_factory=lambda: secrets.token_hex(4))
    _placeholder: bytes = ID_PLACEHOLDER.encode()

    def __post_init__(self) -> None:
        self._has_ids = any(ID_PLACEHOLDER in request for request in self.load.requests)
        self._requests = itertools.cycle([request.encode() for request in self.load.requests])

    async def connect(self) -> "_Connection":
        _, connection = await self.loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.load.port)
        return connection

    async def ask_in_circles(self, connections: "Sequence[_Connection]") -> None:
        for connection in connections:
            connection.asks_again = True
            connection.ask(time.perf_counter())
        await self._count()

    async def ask_at_rate(self, connections: "Sequence[_Connection]", rate: float) -> None:
        """Start a request at its scheduled time even when no connection is free: its wait counts."""
        idle, waiting = list(connections), list[float]()
        for connection in connections:
            connection.on_idle = lambda one: one.ask(waiting.pop(0)) if waiting else idle.append(one)
        pacing = asyncio.create_task(self._pace(idle, waiting, rate))
        await self._count()
        pacing.cancel()
        await asyncio.gather(pacing, return_exceptions=True)

    async def _pace(self, idle: "list[_Connection]", waiting: list[float], rate: float) -> None:
        due = time.perf_counter()
        while True:
            due += 1 / rate
            await asyncio.sleep(due - time.perf_counter())
            if idle:
                # The one that was idle for longest, or the server would close the others as idle.
                idle.pop(0).ask(due)
            else:
                waiting.append(due)

    async def _count(self) -> None:
        await asyncio.sleep(self.load.warm_up_seconds)
        self.is_counting = True
        began = time.perf_counter()
        await asyncio.sleep(self.load.seconds)
        self.seconds = time.perf_counter() - began
        self.is_counting, self.is_over = False, True

    def next_request(self) -> bytes:
        self.sent += 1
        request = next(self._requests)
        if not self._has_ids:
            return request
        unused = f"{self._prefix}{next(self._ids):0{ID_CHARACTERS - len(self._prefix)}d}"
        return request.replace(self._placeholder, unused.encode())

    def note(self, latency: float, answer: bytes, *, is_right: bool) -> None:
        if not is_right:
            self.errors += 1
            self.error = self.error or answer.decode(errors="replace")
        elif self.is_counting:
            self.latencies.append(latency)

    def report(self) -> dict[str, Any]:
        ordered = sorted(self.latencies)
        return {
            "sent": self.sent,
            "rate": len(ordered) / self.seconds,
            "p50 ms": percentile(ordered, 0.5) * MILLISECONDS,
            "p99 ms": percentile(ordered, 0.99) * MILLISECONDS,
            "errors": self.errors,
            "error": self.error,
        }


class _Connection(asyncio.Protocol):
    def __init__(self, asking: _Asking) -> None:
        self.asks_again = False
        self.on_idle: Any = None
        self._asking = asking
        self._expected = asking.load.expect.encode()
        self._received = b""
        self._began = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def ask(self, began: float) -> None:
        self._began = began
        if self._transport is not None:
            self._transport.write(self._asking.next_request())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head_end = received.find(HEAD_END)
        if head_end < 0 or len(received) < head_end + len(HEAD_END) + _content_length(received[:head_end]):
            self._received = received
            return
        self._received = b""
        is_right = received.startswith(OK) and self._expected in received
        now = time.perf_counter()
        self._asking.note(now - self._began, received, is_right=is_right)
        if self._asking.is_over:
            return
        if self.asks_again:
            self.ask(now)
        elif self.on_idle is not None:
            self.on_idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._asking.is_over:
            self._asking.note(0.0, f"the connection was lost: {exc!r}".encode(), is_right=False)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which that share of the ordered values is; 0 of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(LENGTH)
    if start < 0:
        raise ValueError(f"an answer without a length: {head!r}")
    return int(lowered[start + len(LENGTH) :].split(b"\r\n", 1)[0])
