"""Runs the simulated exchange on one port: REST under /v2, the stream at /stream, controls under /simulator.

/healthz answers without a key, as in Fillwire's own processes, also while /v2 is down.

aiohttp's low-level server is used without its application, router and middleware: a submission without latency costs
half as much without them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from aiohttp import web
from uuid_utils import uuid7

from exchange.simulator.answers import json_answer, refused_answer
from exchange.simulator.clock import VenueClock
from exchange.simulator.controls import Controls
from exchange.simulator.faults import Faults
from exchange.simulator.habit_player import RENAMED_AFTER_SECONDS
from exchange.simulator.journal import Entry, Journal
from exchange.simulator.keys import VenueKeys
from exchange.simulator.matching import Matching
from exchange.simulator.refusals import Code, VenueRefusalError, exchange_is_down, refusal
from exchange.simulator.request_log import REQUESTS_KEPT_MAX, RequestLog
from exchange.simulator.rest import Rest
from exchange.simulator.restoring import restore
from exchange.simulator.scheduler import Scheduler
from exchange.simulator.scripted_answers import ScriptedAnswer, ScriptedAnswers
from exchange.simulator.stream import Frames, TradeUpdates
from exchange.simulator.venue import SimulatedVenue

SHUTDOWN_TIMEOUT_SECONDS = 1.0
ANY_IPV6 = "::"
KEEPALIVE_TIMEOUT_SECONDS = 75.0
HEALTH_PATH = "/healthz"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """The settings of the exchange. Port 0 selects a free one; `frames` is the kind of the stream's JSON frames.

    With a `journal_path` the exchange continues from that file's end; without one it starts empty. Its clock starts
    `clock_offset_seconds` ahead of the system's.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    key: str = "simulator"
    secret: str = "simulator"  # noqa: S105  # The documented key of a server without anything to protect.
    faults: Faults = field(default_factory=Faults)
    matching: Matching = field(default_factory=Matching)
    frames: Frames = "binary"
    journal_path: Path | None = None
    clock_offset_seconds: float = 0
    requests_kept_max: int = REQUESTS_KEPT_MAX
    renamed_after_seconds: float = RENAMED_AFTER_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningSimulator:
    """A simulator that answers at these addresses."""

    url: str
    stream_url: str
    venue: SimulatedVenue
    journal: Journal


async def serve(config: SimulatorConfig) -> None:
    """Run the exchange until cancelled.

    Raises:
        OSError: the port is in use.
    """
    async with running_simulator(config):
        await asyncio.Event().wait()


@asynccontextmanager
async def running_simulator(config: SimulatorConfig) -> AsyncIterator[RunningSimulator]:
    """Run the exchange in this process, answering from entry to exit.

    Raises:
        OSError: the port is in use, or the journal file cannot be written.
        JournalDamagedError: the journal file cannot be read.
    """
    async with AsyncExitStack() as stack:
        journal = Journal(config.journal_path)
        stack.callback(journal.close)
        scheduler = Scheduler()
        stack.callback(scheduler.close)
        updates = TradeUpdates(key=config.key, secret=config.secret, frames=config.frames, journal=journal)
        venue = _open_venue(config, journal=journal, scheduler=scheduler, updates=updates)
        runner = _runner(_Router(config, venue=venue, updates=updates, journal=journal))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        # For asyncio :: is only version 6, and None any address.
        where = None if config.host == ANY_IPV6 else config.host
        await web.TCPSite(runner, where, config.port, reuse_address=True).start()
        stack.callback(partial(updates.disconnect, hold_slot_seconds=0))
        host, port = runner.addresses[0][:2]
        yield RunningSimulator(
            url=f"http://{host}:{port}", stream_url=f"ws://{host}:{port}/stream", venue=venue, journal=journal
        )


def _open_venue(
    config: SimulatorConfig, *, journal: Journal, scheduler: Scheduler, updates: TradeUpdates
) -> SimulatedVenue:
    """Open the exchange, empty or from its journal file."""

    def publish(entry: Entry) -> None:
        updates.publish(entry, faults=venue.faults.stream, draw=venue.dice.draw_delivery)

    venue = SimulatedVenue(
        faults=config.faults,
        matching=config.matching,
        journal=journal,
        scheduler=scheduler,
        clock=VenueClock(offset_seconds=config.clock_offset_seconds),
        new_id=_new_id,
        publish=publish,
        renamed_after_seconds=config.renamed_after_seconds,
    )
    if config.journal_path is not None:
        restore(config.journal_path, book=venue.book, journal=journal, instruments=venue.instruments)
        venue.go_on()
    return venue


def _runner(router: "_Router") -> web.ServerRunner:
    return web.ServerRunner(
        web.Server(router.handle, access_log=None, keepalive_timeout=KEEPALIVE_TIMEOUT_SECONDS),
        handle_signals=False,
        shutdown_timeout=SHUTDOWN_TIMEOUT_SECONDS,
    )


class _Router:
    """Sends each request to the part that answers it."""

    def __init__(
        self, config: SimulatorConfig, *, venue: SimulatedVenue, updates: TradeUpdates, journal: Journal
    ) -> None:
        self._venue = venue
        self._updates = updates
        keys = VenueKeys(key=config.key, secret=config.secret)
        self._scripts = ScriptedAnswers()
        self._log = RequestLog(requests_max=config.requests_kept_max)
        self._rest = Rest(venue, keys=keys, new_id=_new_client_order_id)
        self._controls = Controls(
            venue,
            keys=keys,
            updates=updates,
            journal=journal,
            scripts=self._scripts,
            log=self._log,
            new_id=_new_client_order_id,
            listening_host=config.host,
        )

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if path.startswith("/simulator/"):
            return await self._controls.handle(request, path)
        if path == HEALTH_PATH:
            return json_answer({"status": "ok"})
        script = self._scripts.take(request.method, path)
        if path == "/stream":
            return await self._stream(request) if script is None else script.respond(request)
        logged = await self._log.record(request, path, at=datetime.now(UTC))
        logged.is_scripted = script is not None
        response = await self._rest_answer(request, path, script)
        if request.transport is not None and not request.transport.is_closing():
            logged.status = response.status
        if self._venue.clock.offset:
            response.headers.setdefault("Date", format_datetime(self._venue.now(), usegmt=True))
        return response

    async def _rest_answer(
        self, request: web.BaseRequest, path: str, script: ScriptedAnswer | None
    ) -> web.StreamResponse:
        if script is not None and not script.after_execution:
            return script.respond(request)
        if path.startswith("/v2/"):
            response = await self._rest.handle(request, path, is_answer_replaced=script is not None)
        else:
            response = refused_answer(refusal(Code.NOT_FOUND, f"endpoint not found: {path}"))
        return response if script is None else script.respond(request)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._venue.faults.down:
            return refused_answer(exchange_is_down())
        try:
            return await self._updates.handle(request)
        except VenueRefusalError as error:
            return refused_answer(error)


def _new_id() -> str:
    return str(uuid7())


def _new_client_order_id() -> str:
    """Return a generated client order id: random, like the broker's."""
    return str(uuid4())
