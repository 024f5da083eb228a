"""The domain's ports in memory, for unit tests of its stories: small, exact about fences and versions, no server."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.changes import (
    ChangeKind,
    ExecutionView,
    OrderSnapshot,
    PlacementState,
    RecordedChange,
    snapshot,
    view,
)
from domain.errors import ExecutionIdTaken, StaleWrite, Unavailable, VenueUnreachable
from domain.executions import Execution
from domain.order import Order, VenueRank, is_placing_over
from domain.ports import (
    AlreadyPlaced,
    AttemptEnd,
    CancelOutcome,
    CancelTaken,
    Claim,
    ExecutionKey,
    LoadedOrder,
    OrderWrite,
    Placed,
    PlacementOutcome,
    Stored,
    VenueOrder,
    VenueReport,
)
from domain.reading import OrderFilter, OrderKey, OrderSort, Page, PageRequest
from domain.reports import OrderAccepted
from domain.telemetry import Metric
from domain.values import ZERO, Instrument, Terms

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
Interruption = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class SettableClock:
    """A clock that moves only when a test moves it."""

    now: datetime = MIDNIGHT

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.now += by


@dataclass(slots=True)
class CountingIds:
    """Ids that rise by one, so that a failing test reads well."""

    given: int = 0

    def __call__(self) -> UUID:
        self.given += 1
        return UUID(int=self.given)


@dataclass(slots=True)
class OrderRow:
    """An order's row: the order, and the bookkeeping of placing and canceling around it."""

    order: Order
    place_due_at: datetime | None
    attempt: int = 0
    attempts: int = 0
    lease_until: datetime | None = None
    maybe_sent_at: datetime | None = None
    last_attempt_at: datetime | None = None
    last_error: str | None = None
    cancel_due_at: datetime | None = None
    executions: dict[str, Execution] = field(default_factory=dict)

    def snapshot(self, order: Order | None = None) -> OrderSnapshot:
        """The order as people see it, now or as it stood at one change."""
        placement = PlacementState(
            attempts=self.attempts,
            last_attempt_at=self.last_attempt_at,
            next_attempt_at=self.place_due_at if self.lease_until is None else None,
            last_error=self.last_error,
        )
        return snapshot(order or self.order, placement=placement)

    def is_due(self, now: datetime) -> bool:
        """Whether an attempt may be made: it is due, and no attempt's lease still runs."""
        is_free = self.lease_until is None or self.lease_until <= now
        return self.place_due_at is not None and self.place_due_at <= now and is_free


@dataclass(slots=True)
class MemoryOrderStore:
    """OrderStore. `interruptions` run one by one in front of the next writes: what somebody else did meanwhile."""

    clock: SettableClock
    rows: dict[UUID, OrderRow] = field(default_factory=dict)
    changes: dict[str, list[RecordedChange]] = field(default_factory=dict)
    writes: list[Sequence[OrderWrite]] = field(default_factory=list)
    interruptions: deque[Interruption] = field(default_factory=deque)
    is_available: bool = True

    async def accept(self, order: Order) -> Stored:
        self._require_database()
        for row in self.rows.values():
            if row.order.account_id == order.account_id and (
                row.order.terms.client_order_id == order.terms.client_order_id
            ):
                return Stored(order=row.snapshot(), change=None)
        row = self.rows[order.id] = OrderRow(order=order, place_due_at=self.clock())
        change = self._append(row, ChangeKind.RECEIVED, order=order, execution=None)
        return Stored(order=row.snapshot(), change=change)

    async def load(self, order_ids: Collection[UUID], keys: Collection[ExecutionKey]) -> Mapping[UUID, LoadedOrder]:
        self._require_database()
        return {
            order_id: _loaded(self.rows[order_id], keys=[key for key in keys if key.order_id == order_id])
            for order_id in order_ids
            if order_id in self.rows
        }

    async def write(self, writes: Sequence[OrderWrite]) -> Sequence[RecordedChange]:
        self._require_database()
        if self.interruptions:
            await self.interruptions.popleft()()
        if not all(_fences_hold(self.rows[write.order.id], write) for write in writes):
            raise StaleWrite
        self._require_own_executions(writes)
        self.writes.append(writes)
        return [change for write in writes for change in self._written(self.rows[write.order.id], write)]

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        self._require_database()
        now = self.clock()
        rows = [self.rows[order_id] for order_id in dict.fromkeys(order_ids) if order_id in self.rows]
        return [_claimed(row, now=now, lease=lease) for row in rows if row.is_due(now)]

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        self._require_database()
        due = _overdue(self.rows.values(), lambda row: row.place_due_at, before=self.clock() - overdue_by)
        claimable = [row.order.id for row in due if row.is_due(self.clock())]
        return await self.claim(claimable[:limit], lease=lease)

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        self._require_database()
        now = self.clock()
        taken = []
        for order_id in dict.fromkeys(order_ids):
            row = self.rows.get(order_id)
            if row is not None and row.cancel_due_at is not None and row.cancel_due_at <= now:
                row.cancel_due_at = now + lease
                taken.append(_loaded(row, keys=()))
        return taken

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        due = _overdue(self.rows.values(), lambda row: row.cancel_due_at, before=self.clock() - overdue_by)
        return await self.claim_cancels([row.order.id for row in due][:limit], lease=lease)

    async def oldest_due(self) -> timedelta | None:
        due = _overdue(self.rows.values(), lambda row: row.place_due_at, before=self.clock())
        return self.clock() - due[0].place_due_at if due and due[0].place_due_at is not None else None

    async def ids_by_venue_order_id(self, venue_order_ids: Collection[str]) -> Mapping[str, UUID]:
        self._require_database()
        known = {row.order.facts.venue_order_id: order_id for order_id, row in self.rows.items()}
        return {name: known[name] for name in venue_order_ids if name in known}

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        self._require_database()
        open_rows = (
            row for row in self.rows.values() if row.order.facts.rank > VenueRank.NONE and not row.order.status.is_final
        )
        silent = _overdue(open_rows, lambda row: row.order.updated_at, before=self.clock() - silent_for)
        return [_loaded(row, keys=()) for row in silent[:limit]]

    def _require_database(self) -> None:
        if not self.is_available:
            raise Unavailable

    def _require_own_executions(self, writes: Sequence[OrderWrite]) -> None:
        owners = {name: order_id for order_id, row in self.rows.items() for name in row.executions}
        named = [(one.venue_execution_id, write.order.id) for write in writes for one in write.executions]
        taken = {name: owners[name] for name, order_id in named if owners.get(name, order_id) != order_id}
        if taken:
            raise ExecutionIdTaken(taken)

    def _written(self, row: OrderRow, write: OrderWrite) -> Sequence[RecordedChange]:
        row.order = write.order
        row.executions.update({execution.venue_execution_id: execution for execution in write.executions})
        if write.attempt_end is not None:
            _end_attempt(row, write.attempt_end, now=self.clock())
        facts = write.order.facts
        if is_placing_over(facts):
            row.place_due_at = row.lease_until = None
        if not facts.cancel.is_open or write.order.status.is_final:
            row.cancel_due_at = None
        elif write.cancel_in is not None:
            row.cancel_due_at = self.clock() + write.cancel_in
        return [
            self._append(row, change.kind, order=change.order, execution=change.execution) for change in write.changes
        ]

    def _append(self, row: OrderRow, kind: ChangeKind, *, order: Order, execution: Execution | None) -> RecordedChange:
        sequence = self.changes.setdefault(order.account_id, [])
        change = RecordedChange(
            sequence=len(sequence) + 1,
            kind=kind,
            at=order.updated_at,
            order=row.snapshot(order),
            execution=view(execution) if execution is not None else None,
        )
        sequence.append(change)
        return change


def _overdue(
    rows: Iterable[OrderRow], due_at: Callable[[OrderRow], datetime | None], *, before: datetime
) -> list[OrderRow]:
    """The rows that were due by then, oldest first."""
    due = [(moment, row) for row in rows if (moment := due_at(row)) is not None and moment <= before]
    return [row for _, row in sorted(due, key=lambda pair: (pair[0], pair[1].order.id))]


def _loaded(row: OrderRow, *, keys: Collection[ExecutionKey]) -> LoadedOrder:
    names = {key.venue_execution_id for key in keys}
    totals = {key.cumulative_quantity for key in keys if key.cumulative_quantity is not None}
    return LoadedOrder(
        order=row.order,
        executions=[
            execution
            for execution in row.executions.values()
            if execution.venue_execution_id in names or execution.cumulative_quantity in totals
        ],
        attempt=row.attempt,
        attempts=row.attempts,
        maybe_sent_at=row.maybe_sent_at,
        lease_until=row.lease_until,
    )


def _fences_hold(row: OrderRow, write: OrderWrite) -> bool:
    is_newest = write.attempt_end is None or row.attempt == write.attempt_end.attempt
    is_free = not write.unclaimed or (row.lease_until is None and row.maybe_sent_at is None)
    is_unchanged = row.order.version == write.read_version and not _takes_back(row, write)
    return is_newest and is_free and is_unchanged


def _takes_back(row: OrderRow, write: OrderWrite) -> bool:
    """Whether the write lacks what is known: facts may grow without a version, so the version does not tell it all."""
    known, written = row.order.facts, write.order.facts
    shrinks = (
        known.phase > written.phase
        or known.rank > written.rank
        or known.cancel.sent > written.cancel.sent
        or not known.ends <= written.ends
        or (known.cancel.refused_at or MIDNIGHT) > (written.cancel.refused_at or MIDNIGHT)
    )
    before = ((row.executions.get(one.venue_execution_id, one), one) for one in write.executions)
    return shrinks or any(
        (old.filled and not new.filled) or old.is_busted > new.is_busted or (old.correction and not new.correction)
        for old, new in before
    )


def _claimed(row: OrderRow, *, now: datetime, lease: timedelta) -> Claim:
    if row.lease_until is not None:  # The attempt before died: it may have sent until its lease ended.
        row.maybe_sent_at = max(row.maybe_sent_at or row.lease_until, row.lease_until)
    row.attempt += 1
    row.attempts += 1
    row.last_attempt_at = now
    row.lease_until = row.place_due_at = now + lease
    return Claim(
        order=row.order,
        attempt=row.attempt,
        attempts=row.attempts,
        maybe_sent_at=row.maybe_sent_at,
        claimed_at=now,
    )


def _end_attempt(row: OrderRow, end: AttemptEnd, *, now: datetime) -> None:
    row.lease_until = None
    row.last_error = end.error
    row.attempts -= 0 if end.counts else 1
    if end.may_have_been_sent:
        row.maybe_sent_at = now
    row.place_due_at = now + end.next_in if end.next_in is not None else None


@dataclass(slots=True)
class MemoryOrderReader:
    """OrderReader over the same rows; single orders only, for pages are the database's work."""

    store: MemoryOrderStore

    async def order(self, order_id: UUID, *, account_id: str | None) -> OrderSnapshot | None:
        return (await self.orders_by_id([order_id], account_id=account_id)).get(order_id)

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_id: str | None
    ) -> Mapping[UUID, OrderSnapshot]:
        rows = [self.store.rows[order_id] for order_id in order_ids if order_id in self.store.rows]
        return {row.order.id: row.snapshot() for row in rows if account_id in (None, row.order.account_id)}

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        snapshots = [row.snapshot() for row in self.store.rows.values()]
        named = [one for one in snapshots if one.terms.client_order_id == client_order_id]
        return next((one for one in named if one.account_id == account_id), None)

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the port's word
    ) -> Page[OrderSnapshot]:
        raise NotImplementedError

    async def executions(self, order_id: UUID, request: PageRequest[UUID]) -> Page[ExecutionView]:
        raise NotImplementedError

    async def execution(self, execution_id: UUID, *, account_id: str | None) -> ExecutionView | None:
        raise NotImplementedError

    async def history(self, order_id: UUID, request: PageRequest[int]) -> Page[RecordedChange]:
        raise NotImplementedError


@dataclass(slots=True)
class MemoryInstrumentCatalog:
    """InstrumentCatalog; pages only forwards, which is all that a story could ask for."""

    instruments: dict[str, Instrument] = field(default_factory=dict)

    async def find(self, isin: str) -> Instrument | None:
        return self.instruments.get(isin)

    async def find_many(self, isins: Collection[str]) -> Mapping[str, Instrument]:
        return {isin: self.instruments[isin] for isin in isins if isin in self.instruments}

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[Instrument]:
        prefix = (search or "").lower()
        matching = [
            one
            for _, one in sorted(self.instruments.items())
            if any(text.lower().startswith(prefix) for text in (one.isin, one.symbol, one.name))
        ]
        after = [one for one in matching if request.after is None or one.isin > request.after]
        has_previous = len(after) < len(matching)
        return Page(rows=after[: request.limit], has_next=len(after) > request.limit, has_previous=has_previous)

    async def save(self, instruments: Sequence[Instrument]) -> int:
        differing = [one for one in instruments if self.instruments.get(one.isin) != one]
        self.instruments.update({one.isin: one for one in differing})
        return len(differing)


@dataclass(slots=True)
class MemoryStreamPositions:
    """StreamPositions."""

    moments: dict[str, datetime] = field(default_factory=dict)

    async def read(self, venue: str) -> datetime | None:
        return self.moments.get(venue)

    async def advance(self, venue: str, moment: datetime) -> None:
        self.moments[venue] = max(self.moments.get(venue, moment), moment)


@dataclass(slots=True)
class RecordingPublisher:
    """ChangePublisher that keeps what it was told, commit by commit."""

    commits: list[Sequence[RecordedChange]] = field(default_factory=list)

    def publish(self, changes: Sequence[RecordedChange]) -> None:
        self.commits.append(changes)

    @property
    def changes(self) -> list[RecordedChange]:
        """Everything published, in order."""
        return [change for commit in self.commits for change in commit]


@dataclass(slots=True)
class RecordingWakeUps:
    """WakeUps that keep who was to be woken after which delay."""

    placements: list[tuple[UUID, timedelta]] = field(default_factory=list)
    cancels: list[tuple[UUID, timedelta]] = field(default_factory=list)

    def placement_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        self.placements.extend((order_id, within) for order_id in order_ids)

    def cancel_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        self.cancels.extend((order_id, within) for order_id in order_ids)


@dataclass(slots=True)
class RecordingTelemetry:
    """Telemetry that keeps counts by metric and labels, and the events with their fields."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    values: list[tuple[Metric, float]] = field(default_factory=list)
    events: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)

    def count(self, metric: Metric, amount: int = 1, **labels: str) -> None:
        self.counts[(metric, *labels.values())] += amount

    def observe(self, metric: Metric, value: float, **labels: str) -> None:  # noqa: ARG002 - the port's shape
        self.values.append((metric, value))

    def set(self, metric: Metric, value: float, **labels: str) -> None:  # noqa: ARG002 - the port's shape
        self.values.append((metric, value))

    def info(self, event: str, **fields: object) -> None:
        self.events.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.events.append(("warning", event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.events.append(("error", event, fields))

    def named(self, event: str) -> list[Mapping[str, object]]:
        """The fields of every event of that name."""
        return [fields for _, name, fields in self.events if name == event]


@dataclass(slots=True)
class ScriptedVenue:
    """A venue that answers as told and keeps what it accepted. With no answer left it simply accepts.

    `during_place` runs while a placement is under way. What is in `hidden` is kept, yet look-ups do not show it.
    """

    clock: SettableClock
    name: str = "SCRIPTED"
    orders: dict[UUID, VenueOrder] = field(default_factory=dict)
    hidden: set[UUID] = field(default_factory=set)
    is_reachable: bool = True
    asked: list[str] = field(default_factory=list)
    during_place: Interruption | None = None
    fill_pages: list[Sequence[VenueReport]] = field(default_factory=list)
    fills_since: list[datetime] = field(default_factory=list)
    cancel_answers: deque[CancelOutcome] = field(default_factory=deque)
    _answers: deque[tuple[PlacementOutcome, bool]] = field(default_factory=deque)

    def will_answer(self, *outcomes: PlacementOutcome, keeps: bool = False) -> None:
        """Answer the next placements so; with `keeps` the order is accepted all the same."""
        self._answers.extend((outcome, keeps) for outcome in outcomes)

    async def place(self, order_id: UUID, terms: Terms) -> PlacementOutcome:
        self.asked.append("place")
        if self.during_place is not None:
            await self.during_place()
        if self._answers:
            outcome, keeps = self._answers.popleft()
            if keeps:
                self.keep(order_id, terms)
            return outcome
        if order_id in self.orders:
            return AlreadyPlaced()
        return Placed(report=self.keep(order_id, terms))

    def keep(self, order_id: UUID, terms: Terms) -> OrderAccepted:
        """Take the order into the book."""
        venue_order_id = f"V{len(self.orders) + 1}"
        report = OrderAccepted(venue_order_id=venue_order_id, rank=VenueRank.WORKING, at=self.clock())
        self.orders[order_id] = VenueOrder(
            order_id=order_id,
            venue_order_id=venue_order_id,
            terms=terms,
            filled_quantity=ZERO,
            is_open=True,
            reports=[report],
            submitted_at=self.clock(),
        )
        return report

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        self.asked.append(f"cancel {venue_order_id}")
        return self.cancel_answers.popleft() if self.cancel_answers else CancelTaken()

    async def find(self, order_id: UUID) -> VenueOrder | None:
        self.asked.append("find")
        self._require_link()
        return None if order_id in self.hidden else self.orders.get(order_id)

    async def find_by_venue_order_id(self, venue_order_id: str) -> VenueOrder | None:
        self.asked.append(f"find {venue_order_id}")
        self._require_link()
        return next((one for one in self.orders.values() if one.venue_order_id == venue_order_id), None)

    async def open_orders(self) -> Sequence[VenueOrder]:
        self._require_link()
        return [one for order_id, one in self.orders.items() if one.is_open and order_id not in self.hidden]

    async def fills(self, *, since: datetime) -> AsyncIterator[Sequence[VenueReport]]:
        self._require_link()
        self.fills_since.append(since)
        for page in self.fill_pages:
            yield page

    async def instruments(self) -> Sequence[Instrument]:
        self._require_link()
        return ()

    def _require_link(self) -> None:
        if not self.is_reachable:
            raise VenueUnreachable("no answer")
