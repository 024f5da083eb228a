"""A small world for the submission service: several workers, one store, a venue whose every answer a test decides.

The world guarantees what the settings require of a real one: a sent request reaches the venue within REQUEST_LASTS or
never; after a lost answer it may still do so for LATE; a new order is missing from look-ups for HIDDEN at most. SETTLE
covers the last two, and half a lease the first. A process may be paused anywhere except between its read of the clock
and the socket: for those microseconds only the venue's own check of the client order id protects, which this venue does
not make. So here a second send creates a second order.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from domain.model.changes import RecordedChange
from domain.model.errors import FillwireError
from domain.model.operator_actions import ActionToStore
from domain.model.order import End
from domain.model.reports import OrderEnded
from domain.model.values import Terms
from domain.ports.ingest_state import Fence
from domain.ports.order_store import IMMEDIATE, Claim, OrderWrite, WriteTicket
from domain.ports.venue import VenueOrder
from domain.ports.venue_outcomes import CancelNotPossible, CancelOutcome, CancelTaken, Placed, SubmissionOutcome
from domain.services.submission import Submission
from runtime.wiring import make_cancel_delivery, make_cancellation, make_recording, make_submission
from tests.support.examples import VENUE_SAYS, an_order
from tests.support.fakes.clock import MIDNIGHT, CountingIds, SettableClock
from tests.support.fakes.order_row import OrderRow
from tests.support.fakes.order_store import MemoryOrderStore
from tests.support.fakes.telemetry import RecordingTelemetry
from tests.support.fakes.venue import ScriptedVenue
from tests.support.memory_loop import StillLoop
from tests.support.memory_wiring import MemoryProcess, MemorySignals, MemoryStores, given_settings

SECOND = timedelta(seconds=1)
REQUEST_LASTS = 10 * SECOND
LATE = 2 * SECOND
HIDDEN = 2 * SECOND
SETTLE = 5 * SECOND
LEASE = 30 * SECOND
MAX_ATTEMPTS = 2
MAX_AGE = 120 * SECOND
WORKERS = 3
SETTINGS = given_settings(
    placement_max_attempts=MAX_ATTEMPTS,
    placement_backoff_seconds=1,
    placement_backoff_max_seconds=8,
    placement_timeout_seconds=LEASE.total_seconds() / 6,
    placement_settle_seconds=SETTLE.total_seconds(),
    placement_slots=2,
    placement_max_age_seconds=MAX_AGE.total_seconds(),
    placement_circuit_failures=3,
    placement_circuit_open_seconds=5,
    cancel_retry_seconds=1,
    cancel_confirm_seconds=5,
)


class Place(Enum):
    """Where a worker waits for the world."""

    CLAIMED = "the claim is committed"
    LOOKING_UP = "a look-up is under way"
    SENDING = "a placement is under way"
    WRITING = "the outcome is about to be written"


class SteppedLoop(StillLoop):
    """A loop whose clock is the world's, and that can be run until every task waits for the world."""

    def __init__(self, clock: SettableClock) -> None:
        super().__init__()
        self._clock = clock

    def time(self) -> float:
        return (self._clock() - MIDNIGHT).total_seconds()

    def settle(self) -> None:
        """Run all tasks that can run."""
        self.call_soon(self._stop_when_idle)
        self.run_forever()

    def _stop_when_idle(self) -> None:
        if self._ready:  # type: ignore[attr-defined] # asyncio's own queue; no public API shows that a loop is idle
            self.call_soon(self._stop_when_idle)
        else:
            self.stop()


@dataclass(slots=True, eq=False)
class Request:
    """A placement that was sent."""

    name: str
    terms: Terms
    sent_at: datetime
    has_arrived: bool = False
    lost_at: datetime | None = None
    is_over: bool = False
    is_free: bool = False  # Not caused by the order: it costs no attempt.

    def may_arrive(self, now: datetime) -> bool:
        """Whether it can still become an order."""
        if self.has_arrived or self.is_over:
            return False
        end = self.sent_at + REQUEST_LASTS
        return now <= (end if self.lost_at is None else min(self.lost_at, end) + LATE)


@dataclass(slots=True, eq=False)
class Waiting:
    """A worker that waits at some point; `answer` resumes it."""

    place: Place
    worker: "Worker"
    answer: asyncio.Future[Any]
    name: str | None = None
    request: Request | None = None


class WaitingStore(MemoryOrderStore):
    """The shared rows as seen by one worker, which can be paused after a claim and before a write."""

    worker: "Worker"

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        claims = await super().claim(order_ids, lease=lease)
        if claims and Place.CLAIMED in self.worker.pauses_at:
            await self.worker.wait(Place.CLAIMED)
        return claims

    async def write(
        self,
        writes: Sequence[OrderWrite],
        *,
        fence: Fence | None = None,
        ticket: WriteTicket = IMMEDIATE,
        action: ActionToStore | None = None,
    ) -> Sequence[RecordedChange]:
        if Place.WRITING in self.worker.pauses_at:
            await self.worker.wait(Place.WRITING)
        return await super().write(writes, fence=fence, ticket=ticket, action=action)


class WaitingVenue(ScriptedVenue):
    """The one venue as seen by one worker: the world answers."""

    worker: "Worker"

    async def submit(self, venue_client_order_id: str, terms: Terms) -> SubmissionOutcome:
        request = self.worker.world.send(venue_client_order_id, terms)
        outcome: SubmissionOutcome = await self.worker.wait(Place.SENDING, name=venue_client_order_id, request=request)
        return outcome

    async def find(self, venue_client_order_id: str) -> VenueOrder | None:
        found: VenueOrder | None = await self.worker.wait(Place.LOOKING_UP, name=venue_client_order_id)
        return found


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process."""

    world: "World"
    submission: Submission
    pauses_at: Collection[Place] = ()
    tasks: set[asyncio.Task[int]] = field(default_factory=set)

    def submit(self, order_ids: Sequence[UUID], *, pauses_at: Collection[Place]) -> None:
        """Run the job that names these orders."""
        self._run(self.submission.submit(order_ids), pauses_at)

    def sweep(self, *, pauses_at: Collection[Place]) -> None:
        """Run the sweeper once."""
        self._run(self.submission.sweep(limit=2, overdue_by=timedelta(0)), pauses_at)

    def die(self) -> None:
        """Stop immediately, at any point; its requests remain in transit."""
        for task in self.tasks:
            task.cancel()
        self.world.loop.settle()
        self.world.waiting = [one for one in self.world.waiting if one.worker is not self]
        self.world.workers[self.world.workers.index(self)] = self.world.new_worker()

    async def wait(self, place: Place, *, name: str | None = None, request: Request | None = None) -> Any:  # noqa: ANN401 - of any wait
        """Wait until the world answers."""
        waiting = Waiting(place, self, self.world.loop.create_future(), name, request)
        self.world.waiting.append(waiting)
        return await waiting.answer

    def _run(self, work: Any, pauses_at: Collection[Place]) -> None:  # noqa: ANN401 - a coroutine
        self.pauses_at = pauses_at
        task = self.world.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        self.world.loop.settle()

    def _ended(self, task: asyncio.Task[int]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, FillwireError):
            self.world.violations.append(f"a worker failed: {error!r}")


class World:
    """All parts, with a clock that advances only when a test does it."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.loop = SteppedLoop(self.clock)
        self.store = MemoryOrderStore(self.clock)
        self.venue = ScriptedVenue(self.clock)
        self.shown_from: dict[str, datetime] = {}
        self.requests: list[Request] = []
        self.waiting: list[Waiting] = []
        self.violations: list[str] = []
        self.telemetry = RecordingTelemetry()
        self.process = MemoryProcess(
            settings=SETTINGS, telemetry=self.telemetry, clock=self.clock, new_id=CountingIds()
        )
        self.recording = make_recording(self.process, MemoryStores(orders=self.store), MemorySignals())
        self.workers = [self.new_worker() for _ in range(WORKERS)]

    def new_worker(self) -> Worker:
        """Start a worker."""
        store = WaitingStore(self.clock, rows=self.store.rows, changes=self.store.changes)
        store.breaker, store.halts = self.store.breaker, self.store.halts
        venue = WaitingVenue(self.clock)
        process, stores = self.process, MemoryStores(orders=store)
        recording = make_recording(process, stores, MemorySignals())
        submission = make_submission(process, stores, MemorySignals(), venue, recording)
        worker = Worker(self, submission)
        store.worker = venue.worker = worker
        return worker

    def store_order(self) -> None:
        """Store a new order."""
        number = len(self.store.rows) + 1
        self.run(self.store.store(an_order(order_id=UUID(int=number), client_order_id=str(number), at=self.clock())))

    def run(self, work: Any) -> Any:  # noqa: ANN401 - the coroutine's result
        """Run what never waits for the world."""
        task = self.loop.create_task(work)
        self.loop.settle()
        return task.result()

    def let_pass(self, time: timedelta) -> None:
        """Advance the clocks of all parts."""
        self.clock.advance(time)

    def send(self, name: str, terms: Terms) -> Request:
        """Send the order from a worker; an earlier request must be known to have failed."""
        now = self.clock()
        if any(one.has_arrived or one.may_arrive(now) for one in self.requests if one.name == name):
            self.violations.append(f"{name} was sent again while an earlier request was not settled")
        request = Request(name=name, terms=terms, sent_at=now)
        self.requests.append(request)
        return request

    def arrive(self, request: Request, *, is_hidden: bool) -> None:
        """Accept the order of a request at the venue."""
        if request.name in self.venue.orders:
            self.violations.append(f"{request.name} is at the venue twice")
        request.has_arrived = True
        self.venue.keep(request.name, request.terms)
        self.shown_from[request.name] = self.clock() + (HIDDEN if is_hidden else timedelta(0))

    def found(self, name: str) -> VenueOrder | None:
        """Return the result of a look-up."""
        return self.venue.orders.get(name) if self.shown_from.get(name, self.clock()) <= self.clock() else None

    def placed(self, name: str) -> Placed:
        """Return the venue's answer to a submission that it accepted."""
        accepted = self.venue.orders[name].reports[0]
        return Placed(report=accepted)  # type: ignore[arg-type] # the first report of an order is its acceptance

    def end_at_venue(self, name: str, end: End) -> None:
        """End the venue's order."""
        order = self.venue.orders[name]
        if order.is_open:
            ended = OrderEnded(end=end, reason=VENUE_SAYS, venue_order_id=order.venue_order_id, at=self.clock())
            self.venue.orders[name] = replace(order, is_open=False, reports=[*order.reports, ended])

    def answer(self, waiting: Waiting, answer: object) -> None:
        """Resume a worker."""
        self.waiting.remove(waiting)
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)
        self.loop.settle()

    def cancel(self, order_id: UUID) -> None:
        """Request that the order be canceled, if it can be."""
        cancellation = make_cancellation(MemoryStores(orders=self.store), MemorySignals(), self.recording)
        if not self.store.rows[order_id].order.status.is_final:
            self.run(cancellation.request(order_id, account_ids=None))

    def deliver_cancels(self) -> None:
        """Bring the cancel requests that are due to the venue, which answers at once."""
        stores, venue = MemoryStores(orders=self.store), _CancelingVenue(self)
        delivery = make_cancel_delivery(self.process, stores, MemorySignals(), venue, self.recording)
        self.run(delivery.sweep(limit=9, overdue_by=timedelta(0)))

    def rows(self) -> Sequence[OrderRow]:
        """Every order."""
        return list(self.store.rows.values())

    def close(self) -> None:
        """End what still waits."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()


class _CancelingVenue(ScriptedVenue):
    """The venue as seen by the delivery of cancel requests."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self._world = world

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        orders = self._world.venue.orders.values()
        order = next(one for one in orders if one.venue_order_id == venue_order_id)
        if not order.is_open:
            return CancelNotPossible(reason=VENUE_SAYS)
        assert order.venue_client_order_id is not None
        self._world.end_at_venue(order.venue_client_order_id, End.CANCELED)
        return CancelTaken()

    async def find(self, venue_client_order_id: str) -> VenueOrder | None:
        return self._world.found(venue_client_order_id)
