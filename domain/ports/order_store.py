"""The orders as the stories of an order's life load, claim and write them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.model.changes import Change, OrderSnapshot, RecordedChange
from domain.model.executions import Execution
from domain.model.frozen import frozen
from domain.model.limits import NO_LIMITS, AccountLimits
from domain.model.order import Order
from domain.ports.ingest_state import Fence


@frozen
class OrderStored:
    """An order in the database. `change` is its first change when this call stored it, None when it was there."""

    order: OrderSnapshot
    change: RecordedChange | None


@frozen
class ExecutionKey:
    """How a report names an execution: by the venue's id, or by the order's cumulative quantity after it."""

    order_id: UUID
    venue_execution_id: str
    cumulative_quantity: Decimal | None


FillName = tuple[str, str]
"""How the venue names a fill: its ids of the order and of the execution."""


@frozen
class LoadedOrder:
    """An order as read without a lock, with the executions that were asked for.

    `attempt` is the number of the newest claim (the fence), `attempts` how many count against the budget, and
    `maybe_sent_at` the latest moment at which a request may have gone out whose outcome is not known.
    `lease_until` is set while an attempt is under way (or its process died). `filled_up_to` is the highest cumulative
    quantity of all its stored executions, zero when there is none, and None when that was not looked for.
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

    `attempt` is the fence that every write of this attempt carries; `attempts` counts this one too.
    `maybe_sent_at` is as in LoadedOrder; an earlier attempt that died under its lease counts as sent at its end.
    `claimed_at` is the database's clock. `is_probe` and `venue_failures` are what the venue's gate said then.
    With `is_halted` the order may be looked up, and must not be sent.
    """

    order: Order
    attempt: int
    attempts: int
    maybe_sent_at: datetime | None
    claimed_at: datetime
    is_probe: bool = False
    venue_failures: int = 0
    is_halted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How one placing attempt ended; it releases the lease.

    `counts` is False where the attempt must not use up the budget. `may_have_been_sent` marks an unknown outcome.
    `next_in` says when the order is due again, unless placing is over by then.
    """

    attempt: int
    error: str | None
    counts: bool
    may_have_been_sent: bool
    next_in: timedelta | None


@frozen
class OrderWrite:
    """One order after a decision, to be written only if nobody wrote since `read_version` was read.

    With `attempt_end` it is also fenced: only while the row's newest attempt is that one. With `unclaimed` it is
    written only while no attempt is or may be under way (used to cancel what was never sent).
    Whether placing or canceling is still due is read off the order's facts (`is_placing_over`, `cancel.is_open`).
    `cancel_in` says when the cancel request is due next.
    """

    order: Order
    read_version: int
    changes: Sequence[Change] = ()
    executions: Sequence[Execution] = ()
    attempt_end: AttemptEnd | None = None
    unclaimed: bool = False
    cancel_in: timedelta | None = None


class WriteTicket(Protocol):
    """When a write may go. Everything that can be done for it before is done before."""

    async def comes(self) -> None:
        """Wait for it. Raises StaleWrite when the write rests on what did not come true."""

    async def written(self) -> None:
        """Told as soon as it is written, before anything is made of the outcome."""


class ImmediateTicket:
    """The turn of whoever waits for nobody."""

    async def comes(self) -> None:
        """Now."""

    async def written(self) -> None:
        """Nobody is behind."""


AT_ONCE = ImmediateTicket()


class OrderStore(Protocol):
    """The orders table and what hangs on it. Every method raises Unavailable when the database does not answer."""

    async def accept(self, order: Order, *, limits: AccountLimits = NO_LIMITS) -> OrderStored:
        """Store a new order, due to be placed now, unless its account already has one with its client order id.

        Halts and what the account has under way are judged as they are at that very moment, for all processes alike.
        `limits` are those by which its terms were judged. Raises OrderDenied, and StaleLimits when others hold by now.
        """

    async def load(self, order_ids: Collection[UUID], keys: Collection[ExecutionKey]) -> Mapping[UUID, LoadedOrder]:
        """Read orders, and of their executions those that match one of the keys. Unknown ids are left out."""

    async def recorded_fills(self, fills: Collection[FillName]) -> Collection[FillName]:
        """Those of the fills that are stored, each with the order that the venue knows by that id."""

    async def write(
        self, writes: Sequence[OrderWrite], *, fence: Fence | None = None, turn: WriteTicket = AT_ONCE
    ) -> Sequence[RecordedChange]:
        """Write all or nothing, in one statement; give back the changes with their place in the sequence.

        It is written when the turn comes. Raises LeadershipLost when the fence does not hold, StaleWrite when any order
        was written since it was read, its attempt is not the newest any more or an execution is stored that was not
        read, and ExecutionIdTaken when an execution's id is another order's already.
        """

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        """Claim those that are due and of which the venue has shown nothing; commit before returning.

        Nothing is claimed while the venue's gate is shut, and only one order, a probe, while its circuit is open.
        While trading is halted for its account an order is claimed only if it may have been sent.
        """

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        """Claim what has been due for longer than `overdue_by`, oldest first, skipping what others hold.

        The gate and halts hold as for `claim`.
        """

    async def claim_cancels(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[LoadedOrder]:
        """Take those whose cancel request is due, and push their due time to the end of the lease.

        Nothing is taken while the venue asks for a pause; an open circuit holds no cancel request up.
        """

    async def claim_due_cancels(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[LoadedOrder]:
        """The same for whatever cancel request has been due for longer than `overdue_by`."""

    async def oldest_due(self) -> timedelta | None:
        """How long the most overdue order has been due; None when nothing is."""

    async def ids_by_venue_order_id(self, venue_order_ids: Collection[str]) -> Mapping[str, UUID]:
        """Our ids of the orders that the venue knows by these ids; unknown ones are left out."""

    async def open_at_venue(self, *, silent_for: timedelta, limit: int) -> Sequence[LoadedOrder]:
        """Orders that the venue has, not final here, without a change for that long; the most silent first."""
