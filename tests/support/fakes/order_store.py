"""The order store in memory: exact about fences, versions and facts that never shrink, as the tables are."""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from domain.model.changes import Change, ChangeKind, RecordedChange, view
from domain.model.errors import (
    ExecutionIdTakenError,
    LeadershipLostError,
    LimitsChangedError,
    OrderDeniedError,
    VersionConflictError,
)
from domain.model.limits import NO_LIMITS, AccountLimits, AccountLoad, check_load, deny_halted
from domain.model.operator_actions import ActionToStore, RequestedAction
from domain.model.order import Order, VenueRank, is_compared
from domain.ports.clock_and_ids import Clock
from domain.ports.ingest_state import Fence
from domain.ports.order_store import (
    IMMEDIATE,
    Claim,
    ExecutionKey,
    FillName,
    LoadedOrder,
    OrderStored,
    OrderWrite,
    WriteTicket,
)
from tests.support.fakes.audit import MemoryOperatorActions
from tests.support.fakes.breaker_store import MemoryBreakerStore
from tests.support.fakes.order_row import OrderRow, fences_hold
from tests.support.fakes.resolutions import MemoryResolutions
from tests.support.fakes.stream_positions import MemoryStreamPositions
from tests.support.fakes.trading_control import MemoryLimitBook, MemoryTradingHalts

SECOND = timedelta(seconds=1)

Interruption = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class MemoryOrderStore:
    """OrderStore. `interruptions` run one by one before the next writes, as concurrent actions. `failure` is raised
    by every call; `listeners` are called after every change; `positions` knows the leader, and `asked_for_open`
    counts the reads of open orders.
    """

    clock: Clock
    positions: MemoryStreamPositions = field(default_factory=MemoryStreamPositions)
    # Not in its repr: a runner's signal handler prints fixtures, and thousands of changes take seconds.
    rows: dict[UUID, OrderRow] = field(default_factory=dict, repr=False)
    changes: dict[str, list[RecordedChange]] = field(default_factory=dict, repr=False)
    writes: list[Sequence[OrderWrite]] = field(default_factory=list, repr=False)
    interruptions: deque[Interruption] = field(default_factory=deque)
    failure: Exception | None = None
    listeners: list[Callable[[], None]] = field(default_factory=list)
    asked_for_open: int = 0
    loads: int = 0
    breaker: MemoryBreakerStore = field(init=False)
    actions: MemoryOperatorActions = field(init=False)
    resolutions: MemoryResolutions = field(init=False)
    book: MemoryLimitBook = field(init=False)
    halts: MemoryTradingHalts = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = MemoryBreakerStore(self.clock)
        self.actions = MemoryOperatorActions(self.clock)
        self.resolutions = MemoryResolutions(self.clock, self.actions, self._account_of)
        self.book = MemoryLimitBook(
            self.clock, self.actions, count_open=lambda account_id: self._load(account_id).open_orders
        )
        self.halts = MemoryTradingHalts(self.clock, self.actions)

    async def store(self, order: Order, *, limits: AccountLimits = NO_LIMITS) -> OrderStored:
        self.require_database()
        asked = (order.account_id, order.terms.client_order_id)
        for row in self.rows.values():
            if (row.order.account_id, row.order.terms.client_order_id) == asked:
                return OrderStored(order=row.snapshot(), change=None)
        self._judge(order, limits)
        now = self.clock()
        row = self.rows[order.id] = OrderRow(order=order, submit_due_at=now, accepted_at=now)
        return OrderStored(
            order=row.snapshot(), change=self._append(row, Change(kind=ChangeKind.RECEIVED, order=order))
        )

    async def load(self, order_ids: Collection[UUID]) -> Mapping[UUID, LoadedOrder]:
        self.require_database()
        self.loads += 1
        return {order_id: self.rows[order_id].loaded() for order_id in order_ids if order_id in self.rows}

    async def load_whole(self, order_id: UUID) -> LoadedOrder | None:
        self.require_database()
        row = self.rows.get(order_id)
        return None if row is None else replace(row.loaded(), executions=tuple(row.executions.values()))

    async def load_reported(
        self, venue_client_order_ids: Collection[str], keys: Collection[ExecutionKey]
    ) -> Mapping[str, LoadedOrder]:
        self.require_database()
        self.loads += 1
        named = {row.order.venue_client_order_id: row for row in self.rows.values()}
        return {
            name: named[name].loaded([key for key in keys if key.venue_client_order_id == name])
            for name in venue_client_order_ids
            if name in named
        }

    async def write(
        self,
        writes: Sequence[OrderWrite],
        *,
        fence: Fence | None = None,
        ticket: WriteTicket = IMMEDIATE,
        action: ActionToStore | None = None,
    ) -> Sequence[RecordedChange]:
        await ticket.wait()
        self.require_database()
        if self.interruptions:
            await self.interruptions.popleft()()
        if len({write.order.id for write in writes}) != len(writes):
            raise ValueError("an order can be written only once in a batch")
        if fence is not None and not self.positions.holds(fence):
            raise LeadershipLostError(fence.epoch)
        if not all(write.order.id in self.rows and fences_hold(self.rows[write.order.id], write) for write in writes):
            raise VersionConflictError
        self._require_own_executions(writes)
        self.writes.append(writes)
        if isinstance(action, RequestedAction):
            if self.resolutions.is_done(action.resolution_id):
                raise VersionConflictError
            self.resolutions.apply(action)
        elif action is not None:
            self.actions.append(action)
        for write in writes:
            self.rows[write.order.id].take(write, now=self.clock())
        changes = [self._append(self.rows[write.order.id], change) for write in writes for change in write.changes]
        await ticket.mark_written()
        return changes

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        self.require_database()
        now = self.clock()
        rows = [self.rows[order_id] for order_id in dict.fromkeys(order_ids) if order_id in self.rows]
        is_open, failures = self.breaker.probe_at is not None, self.breaker.failures
        due = [row for row in rows if row.is_due(now) and (row.may_have_been_sent or not self._is_halted(row))]
        claims = [row.claim(now=now, lease=lease) for row in self.breaker.claimable(due, lease=lease)]
        return [
            replace(
                claim,
                is_probe=is_open,
                venue_failures=failures,
                is_halted=self._is_halted(self.rows[claim.order.id]),
            )
            for claim in claims
        ]

    async def holds_claim(self, claim: Claim, *, within: timedelta) -> bool:
        self.require_database()
        row = self.rows[claim.order.id]
        is_newest = row.attempt == claim.loaded.attempt and row.lease_until is not None
        return is_newest and timedelta(0) <= self.clock() - (row.last_attempt_at or self.clock()) <= within

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        self.require_database()
        due = _due(self.rows.values(), lambda row: row.submit_due_at, by=self.clock() - overdue_by)
        return await self.claim([row.order.id for row in due][:limit], lease=lease)

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        self.require_database()
        now = self.clock()
        if self.breaker.is_paused:
            return []
        taken = []
        for order_id in dict.fromkeys(order_ids):
            row = self.rows.get(order_id)
            if row is not None and row.cancel_due_at is not None and row.cancel_due_at <= now:
                row.cancel_due_at = now + lease
                taken.append(row.loaded())
        return taken

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        due = _due(self.rows.values(), lambda row: row.cancel_due_at, by=self.clock() - overdue_by)
        return await self.claim_cancels([row.order.id for row in due][:limit], lease=lease)

    async def oldest_due(self) -> timedelta | None:
        self.require_database()
        now = self.clock()
        due = [row.submit_due_at for row in self.rows.values() if row.submit_due_at is not None]
        return now - min(due) if due and min(due) <= now else None

    async def recorded_fills(self, fills: Collection[FillName]) -> Collection[FillName]:
        self.require_database()
        stored = {
            (execution.venue_order_id or row.order.facts.venue_order_id, execution.venue_execution_id)
            for row in self.rows.values()
            for execution in row.executions.values()
            if execution.filled is not None
        }
        return [fill for fill in fills if fill in stored]

    async def venue_client_order_ids(self, venue_order_ids: Collection[str]) -> Mapping[str, str]:
        self.require_database()
        known = {
            name: row.order.venue_client_order_id
            for row in self.rows.values()
            for name in (row.order.facts.venue_order_id, *row.order.facts.successors)
        }
        return {name: known[name] for name in venue_order_ids if name in known}

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        self.require_database()
        self.asked_for_open += 1
        open_rows = (
            row for row in self.rows.values() if row.order.facts.rank > VenueRank.NONE and is_compared(row.order)
        )
        now = self.clock()
        silent = [row for row in open_rows if not now - silent_for < row.order.updated_at <= now]
        silent.sort(key=lambda row: row.order.updated_at)
        return [row.loaded() for row in silent[:limit]]

    def require_database(self) -> None:
        """Raise the configured failure, if any."""
        if self.failure is not None:
            raise self.failure

    def _account_of(self, order_id: UUID) -> str | None:
        return self.rows[order_id].order.account_id if order_id in self.rows else None

    def _is_halted(self, row: OrderRow) -> bool:
        return self.halts.stopping(row.order.account_id) is not None

    def _judge(self, order: Order, judged_by: AccountLimits) -> None:
        halt = self.halts.stopping(order.account_id)
        if halt is not None:
            raise OrderDeniedError.by(deny_halted(everywhere=halt.account_id is None))
        limits = self.book.holding(order.account_id)
        if limits.set_at != judged_by.set_at:
            raise LimitsChangedError
        denial = check_load(self._load(order.account_id), limits=limits)
        if denial is not None:
            raise OrderDeniedError.by(denial)

    def _load(self, account_id: str) -> AccountLoad:
        rows = [row for row in self.rows.values() if row.order.account_id == account_id]
        now = self.clock()
        recent = sorted(row.accepted_at for row in rows if row.accepted_at > now - SECOND)
        return AccountLoad(
            open_orders=sum(not row.order.status.is_final for row in rows),
            accepted_in_second=len(recent),
            free_in=recent[0] + SECOND - now if recent else timedelta(0),
        )

    def _require_own_executions(self, writes: Sequence[OrderWrite]) -> None:
        owners = {name: order_id for order_id, row in self.rows.items() for name in row.executions}
        taken = {
            one.venue_execution_id: owner
            for write in writes
            for one in write.executions
            if (owner := owners.setdefault(one.venue_execution_id, write.order.id)) != write.order.id
        }
        if taken:
            raise ExecutionIdTakenError(taken)

    def _append(self, row: OrderRow, change: Change) -> RecordedChange:
        log = self.changes.setdefault(change.order.account_id, [])
        recorded = RecordedChange(
            sequence=len(log) + 1,
            kind=change.kind,
            at=change.order.updated_at,
            order=row.snapshot(change.order),
            execution=view(change.execution) if change.execution is not None else None,
        )
        log.append(recorded)
        for tell in self.listeners:
            tell()
        return recorded


def _due(rows: Iterable[OrderRow], due_at: Callable[[OrderRow], datetime | None], *, by: datetime) -> list[OrderRow]:
    """Return the rows that were due at that time, oldest first."""
    due = [(moment, row) for row in rows if (moment := due_at(row)) is not None and moment <= by]
    return [row for _, row in sorted(due, key=lambda pair: (pair[0], pair[1].order.id))]
