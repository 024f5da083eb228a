"""Recording of reports: read the orders, apply the reports, write all in one statement, publish the changes.

No lock is held while reports are applied. A concurrent write raises VersionConflictError; then the orders are read and
decided again, and since reports commute and repeat harmlessly, the result is the same. For the same reason most orders
need no read at all: recently written ones are cached (`domain.services.order_cache`), and the outcome of the batch that
is being written is predicted for the next one (`domain.services.pipeline`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.model.apply_reports import Applied, apply_reports
from domain.model.changes import Anomaly, RecordedChange
from domain.model.errors import VersionConflictError
from domain.model.fast_fills import apply_plain_fills
from domain.model.frozen import frozen
from domain.model.operator_actions import ActionToStore
from domain.model.reports import (
    ExecutionBusted,
    ExecutionCorrected,
    FilledQuantityCounted,
    OrderEnded,
    OrderFilled,
    Report,
)
from domain.model.values import ZERO
from domain.ports.clock_and_ids import Clock, NewId
from domain.ports.ingest_state import Fence
from domain.ports.notifications import ChangePublisher, WakeUps
from domain.ports.order_store import (
    IMMEDIATE,
    AttemptEnd,
    ExecutionKey,
    LoadedOrder,
    OrderStore,
    OrderWrite,
    WriteTicket,
)
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.trading_control import PriceTape
from domain.services.change_telemetry import log_anomalies, log_change
from domain.services.decision import Decision, makes_cancel_ready, sort_key
from domain.services.order_cache import OrderCache, as_written, can_apply_without_executions
from domain.services.order_decider import Decide, Decided, OrderDecider
from domain.services.pipeline import PipelineTicket
from domain.services.price_tape import traded_prices
from domain.services.version_conflicts import retry_conflicts

DECISIONS_PER_LOOP_ROUND = 50
"""Orders decided in one round of the event loop: while a catch-up decides, the venue's next page is requested and
arrives."""

_DISAGREEMENTS = frozenset({Anomaly.MISSED_FILL, Anomaly.MISSED_AMENDMENT, Anomaly.OVERFILL})

ReportsByOrder = Mapping[str, Sequence[Report]]
"""Reports by the venue client order id of their order."""


@frozen
class Recorded:
    """The result of a batch: the committed changes, the venue client order ids of unknown orders, and whether a fill
    was missed.

    `suspects` are the venue client order ids of orders whose executions do not add up to the venue's count, and
    `contradicted` the ids of executions for which a report contradicts the records.
    """

    changes: Sequence[RecordedChange]
    unknown: frozenset[str]
    missed_fill: bool
    suspects: frozenset[str] = frozenset()
    contradicted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The use case of recording: it applies reports to stored orders and publishes the changes. With a fence, writing
    raises LeadershipLostError once the fence does not hold."""

    orders: OrderStore
    publisher: ChangePublisher
    wake_ups: WakeUps
    telemetry: Telemetry
    clock: Clock
    new_id: NewId
    fence: Fence | None = None
    prices: PriceTape | None = None
    cache: OrderCache = field(default_factory=lambda: OrderCache(orders_max=0))
    _decider: OrderDecider = field(init=False)

    def __post_init__(self) -> None:
        """Batch decisions about single orders."""
        object.__setattr__(self, "_decider", OrderDecider(self.orders, self.commit))

    async def record(self, reports: ReportsByOrder, *, ticket: PipelineTicket | None = None) -> Recorded:
        """Record a batch, all or nothing, and publish it. Repeats change nothing.

        With a ticket the batch is decided immediately and written when the ticket allows it. Raises UnavailableError
        when the database does not answer; then a repeat is safe, whether it was written or not.
        """
        ticket = ticket or PipelineTicket()
        await ticket.wait_until_predictable()
        return await retry_conflicts(
            lambda decisions: self._write(reports, decisions, ticket), read=lambda: self._decisions(reports, ticket)
        )

    async def _write(self, reports: ReportsByOrder, decisions: Sequence[Decision], ticket: PipelineTicket) -> Recorded:
        after = _rows_after(decisions)
        ticket.predict(after)
        try:
            changes = await self.commit(decisions, ticket=ticket)
        except VersionConflictError:
            self.cache.remove(reports.keys())
            raise
        except BaseException:
            self.cache.clear()
            raise
        self.cache.put(after)
        self.telemetry.count(Metric.REPORTS_RECORDED, sum(len(reports[name]) for name in after))
        return Recorded(
            changes=changes,
            unknown=frozenset(reports.keys() - after.keys()),
            missed_fill=any(Anomaly.MISSED_FILL in decision.applied.anomalies for decision in decisions),
            suspects=frozenset(name for name, row in after.items() if _is_suspect(row)).union(
                decision.row.order.venue_client_order_id
                for decision in decisions
                if not _DISAGREEMENTS.isdisjoint(decision.applied.anomalies)
            ),
            contradicted=frozenset().union(*(decision.applied.contradicted for decision in decisions)),
        )

    def decide_and_commit(
        self, row: LoadedOrder, decide: Decide, *, action: Callable[[Decision], ActionToStore] | None = None
    ) -> Awaitable[Decided]:
        """Decide on one order and commit that, again after each version conflict: see `OrderDecider.decide`."""
        return self._decider.decide(row, decide, action=action)

    def decide(
        self,
        row: LoadedOrder,
        reports: Sequence[Report],
        *,
        now: datetime | None = None,
        attempt_end: AttemptEnd | None = None,
        unclaimed: bool = False,
        cancel_in: timedelta | None = None,
    ) -> Decision:
        """Apply reports to one order as it was read."""
        applied = self._applied(row, reports, now=now or self.clock())
        if cancel_in is None and makes_cancel_ready(applied):
            cancel_in = timedelta(0)
        return Decision(row=row, applied=applied, attempt_end=attempt_end, unclaimed=unclaimed, cancel_in=cancel_in)

    def _applied(self, row: LoadedOrder, reports: Sequence[Report], *, now: datetime) -> Applied:
        if not row.executions:
            plain = apply_plain_fills(row.order, reports, now=now, new_id=self.new_id)
            if plain is not None:
                return plain
        return apply_reports(row.order, reports, known=row.executions, now=now, new_id=self.new_id)

    async def _decisions(self, reports: ReportsByOrder, ticket: PipelineTicket) -> Sequence[Decision]:
        """Decide on the orders as the previous batch leaves them, as they are cached, or else as they are stored."""
        rows = self._cached_rows(reports, ticket)
        unread = {name: of_order for name, of_order in reports.items() if name not in rows}
        if any(ticket.predicted(name) for name in unread):
            # The previous batch writes one of the orders that must be read.
            with suppress(VersionConflictError):
                await ticket.wait()
            return await self._decisions(reports, ticket)
        if unread:
            rows |= await self.orders.load_reported(unread.keys(), list(execution_keys(unread)))
        now = self.clock()
        decisions: list[Decision] = []
        for name, row in rows.items():
            decisions.append(self.decide(row, reports[name], now=now))
            if len(decisions) % DECISIONS_PER_LOOP_ROUND == 0:
                await asyncio.sleep(0)
        return decisions

    def _cached_rows(self, reports: ReportsByOrder, ticket: PipelineTicket) -> dict[str, LoadedOrder]:
        rows = {}
        for name, of_order in reports.items():
            row = ticket.predicted(name) or self.cache.get(name)
            if row is not None and can_apply_without_executions(row, of_order):
                rows[name] = row
        return rows

    async def commit(
        self,
        decisions: Sequence[Decision],
        *,
        ticket: WriteTicket = IMMEDIATE,
        action: ActionToStore | None = None,
    ) -> Sequence[RecordedChange]:
        """Write the decisions, all or nothing; then publish, count, log, and wake workers for due orders.

        With `action` the decisions, which must have an effect, are the result of an operator's action. Raises
        VersionConflictError and UnavailableError as `OrderStore.write` does.
        """
        writes = [decision.to_write() for decision in sorted(decisions, key=sort_key) if decision.has_effect]
        changes = await self._write_with_ticket(writes, ticket, action)
        if changes:
            self.publisher.publish(changes)
            if self.prices is not None:
                self.prices.note(traded_prices(changes, decisions))
        for change in changes:
            log_change(self.telemetry, change)
        for decision in decisions:
            log_anomalies(self.telemetry, decision.order_id, decision.applied.anomalies)
        ready = [decision.order_id for decision in decisions if makes_cancel_ready(decision.applied)]
        if ready:
            self.wake_ups.cancel_due(ready)
        return changes

    async def _write_with_ticket(
        self, writes: Sequence[OrderWrite], ticket: WriteTicket, action: ActionToStore | None
    ) -> Sequence[RecordedChange]:
        if writes:
            return await self.orders.write(writes, fence=self.fence, ticket=ticket, action=action)
        await ticket.wait()
        await ticket.mark_written()
        return ()


def _is_suspect(row: LoadedOrder) -> bool:
    """Return whether more is filled than any fill led to: a bust or a correction was missed, or one raised it."""
    return row.filled_up_to is not None and row.order.facts.filled_quantity > row.filled_up_to > ZERO


def execution_keys(reports: ReportsByOrder) -> Iterable[ExecutionKey]:
    """Return the keys of the executions that the reports name, to detect repeats and to find what is amended."""
    for name, of_order in reports.items():
        for report in of_order:
            if isinstance(report, OrderFilled):
                yield ExecutionKey(
                    venue_client_order_id=name,
                    venue_execution_id=report.venue_execution_id,
                    cumulative_quantity=report.cumulative_quantity,
                )
            elif isinstance(report, ExecutionCorrected | ExecutionBusted):
                yield ExecutionKey(
                    venue_client_order_id=name,
                    venue_execution_id=report.venue_execution_id,
                    cumulative_quantity=None,
                    is_amended=True,
                )
            elif isinstance(report, FilledQuantityCounted) or (isinstance(report, OrderEnded) and report.count):
                # What the venue counts names no execution, and is compared with the newest of all.
                yield ExecutionKey(
                    venue_client_order_id=name, venue_execution_id="", cumulative_quantity=None, is_amended=True
                )


def _rows_after(decisions: Iterable[Decision]) -> Mapping[str, LoadedOrder]:
    """Return the orders as they will be once the decisions are written."""
    return {
        decision.row.order.venue_client_order_id: as_written(decision.row, decision.applied) for decision in decisions
    }
