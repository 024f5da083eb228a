"""The store of orders, as the use cases load, claim and write them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.model.changes import Change, OrderSnapshot, RecordedChange
from domain.model.executions import Execution
from domain.model.facts import Successor
from domain.model.frozen import frozen
from domain.model.limits import NO_LIMITS, AccountLimits
from domain.model.operator_actions import ActionToStore
from domain.model.order import Order
from domain.ports.ingest_state import Fence


@frozen
class OrderStored:
    """A stored order. `change` is its first change if this call stored it, None if it was stored before."""

    order: OrderSnapshot
    change: RecordedChange | None

    @property
    def replayed(self) -> bool:
        """Whether the client order id had been used before, with the same content."""
        return self.change is None


@frozen
class ExecutionKey:
    """What identifies an execution of an order in a report: the venue's id, or the cumulative quantity after it.

    With `is_amended` every execution of the order is read: another id of the execution may be any of them, and what the
    venue counts is compared with the newest one.
    """

    venue_client_order_id: str
    venue_execution_id: str
    cumulative_quantity: Decimal | None
    is_amended: bool = False


FillName = tuple[str, str]
"""The venue's name of a fill: its ids of the order and of the execution."""


@frozen
class LoadedOrder:
    """An order as read without a lock, with the executions that the call named, and those amended or with another id.

    `attempt` is the number of the newest claim (the fence), `attempts` how many count against the budget, and
    `maybe_sent_at` the latest time at which a request with unknown outcome may have been sent. `lease_until` is set
    while an attempt is running (or its process crashed). `filled_up_to` is the highest cumulative quantity of all its
    stored executions, zero when there is none, and None when it was not read, or when an operator booked one that the
    venue does not list yet: then any fill may be that one.
    """

    order: Order
    executions: Sequence[Execution]
    attempt: int
    attempts: int
    maybe_sent_at: datetime | None
    lease_until: datetime | None
    filled_up_to: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to make one attempt for an order until the lease ends.

    `loaded` is the claimed order, without executions: its `attempt` is the fence of every write of this attempt, its
    `attempts` counts this one too, and in its `maybe_sent_at` an earlier attempt without a result counts as sent at the
    end of its lease. `claimed_at` is the database's clock. `is_probe` and `venue_failures` are the circuit breaker's
    state at that time. With `is_halted` the order may be looked up, and must not be sent.
    """

    loaded: LoadedOrder
    claimed_at: datetime
    is_probe: bool = False
    venue_failures: int = 0
    is_halted: bool = False

    @property
    def order(self) -> Order:
        """The claimed order."""
        return self.loaded.order


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """The end of one attempt; it releases the lease.

    `counts` is False if the attempt does not count against `max_attempts`. `may_have_been_sent` marks an unknown
    outcome. `next_in` is the time until the order is due again, unless its submission is over.
    """

    attempt: int
    error: str | None
    counts: bool
    may_have_been_sent: bool
    next_in: timedelta | None


@frozen
class OrderWrite:
    """One order after a decision, to be written only if its version is still `read_version`.

    Its successors, which may grow without a version, must still be `read_successors`.

    With `attempt_end` it is also fenced: written only if the row's newest attempt is that one. With `unclaimed` it is
    written only while no attempt is or may be running (used to cancel an order that was never sent). Whether submitting
    or canceling is still due follows from the order's facts (`is_submission_over`, `cancel.is_open`). `cancel_in` is
    the time until the cancel request is due next.
    """

    order: Order
    read_version: int
    read_successors: Mapping[str, Successor] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    executions: Sequence[Execution] = ()
    attempt_end: AttemptEnd | None = None
    unclaimed: bool = False
    cancel_in: timedelta | None = None


class WriteTicket(Protocol):
    """The permission to write, in the order of the pipeline. The store prepares the write before it waits."""

    async def wait(self) -> None:
        """Wait for the permission. Raises VersionConflictError when the write rests on a prediction that failed."""

    async def mark_written(self) -> None:
        """Note that the write is done; called before its outcome is processed."""


class ImmediateTicket:
    """The ticket of a write outside a pipeline: there is no wait."""

    async def wait(self) -> None:
        """Return immediately."""

    async def mark_written(self) -> None:
        """Do nothing."""


IMMEDIATE = ImmediateTicket()


class OrderStore(Protocol):
    """Orders with their executions and changes. Every method raises UnavailableError when the database is
    unreachable.
    """

    async def store(self, order: Order, *, limits: AccountLimits = NO_LIMITS) -> OrderStored:
        """Store a new order, due to be submitted now, unless its account already has one with its client order id.

        Halts and the account's open orders are checked in the same statement, for all processes. `limits` are those by
        which its terms were checked. Raises OrderDeniedError, and LimitsChangedError when `limits` are outdated.
        """

    async def load(self, order_ids: Collection[UUID]) -> Mapping[UUID, LoadedOrder]:
        """Read orders without their executions. Unknown ids are left out."""

    async def load_whole(self, order_id: UUID) -> LoadedOrder | None:
        """Read one order with all its executions; None when there is none."""

    async def load_reported(
        self, venue_client_order_ids: Collection[str], keys: Collection[ExecutionKey]
    ) -> Mapping[str, LoadedOrder]:
        """Read orders by the ids that the venue's reports name, with their executions that match one of the keys.

        Unknown ids are left out.
        """

    async def recorded_fills(self, fills: Collection[FillName]) -> Collection[FillName]:
        """Return the fills that are already recorded for the order that the venue knows by that id."""

    async def write(
        self,
        writes: Sequence[OrderWrite],
        *,
        fence: Fence | None = None,
        ticket: WriteTicket = IMMEDIATE,
        action: ActionToStore | None = None,
    ) -> Sequence[RecordedChange]:
        """Write all or nothing, in one statement; return the changes with their positions in the sequence.

        The statement is sent when the ticket allows it. `action` is the operator's action of the writes, or that of a
        stored request; the same statement stores it. Raises LeadershipLostError when the fence is not valid,
        VersionConflictError when a concurrent writer changed an order, claimed it, or stored an execution that was not
        read, and ExecutionIdTakenError when an execution's id belongs to another order.
        """

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        """Claim the due orders that the venue has not reported; commit before returning.

        The circuit breaker limits claims: none while it blocks, and only one order, a probe, while its circuit is open.
        While trading is halted for its account an order is claimed only if it may have been sent.
        """

    async def holds_claim(self, claim: Claim, *, within: timedelta) -> bool:
        """Return whether the claim is still the newest of its order, not ended, and made at most `within` ago by the
        store's clock."""

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        """Claim orders that have been due for longer than `overdue_by`, oldest first, skipping locked rows.

        The circuit breaker and halts limit it as they limit `claim`.
        """

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        """Claim the orders whose cancel request is due, and move their due time to the end of the lease.

        None is claimed during a pause that the venue requested; an open circuit does not delay cancel requests.
        """

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        """Claim the orders whose cancel request has been due for longer than `overdue_by`, oldest first."""

    async def oldest_due(self) -> timedelta | None:
        """Return how long the most overdue order has been due; None when none is due."""

    async def venue_client_order_ids(self, venue_order_ids: Collection[str]) -> Mapping[str, str]:
        """Return the venue client order ids of stored orders by the venue's own ids; unknown ones are left out."""

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        """Return orders unchanged for `silent_for` that are open at the venue, or ended with another count there.

        The longest unchanged are first.
        """
