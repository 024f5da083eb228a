"""What the domain needs from the world, in its own words. Adapters translate and decide nothing."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.changes import Change, ExecutionView, OrderSnapshot, RecordedChange
from domain.executions import Execution
from domain.order import Order
from domain.reading import OrderFilter, OrderKey, OrderSort, Page, PageRequest
from domain.reports import OrderAccepted, Report
from domain.values import Instrument, Reason, Terms

Clock = Callable[[], datetime]
"""Gives the present moment, aware, in UTC."""
NewId = Callable[[], UUID]
"""Gives a new uuid version 7."""


# --- The database -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An order in the database. `change` is its first change when this call stored it, None when it was there."""

    order: OrderSnapshot
    change: RecordedChange | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionKey:
    """How a report names an execution: by the venue's id, or by the order's cumulative quantity after it."""

    order_id: UUID
    venue_execution_id: str
    cumulative_quantity: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedOrder:
    """An order as read without a lock, with the executions that were asked for.

    `attempt` is the number of the newest claim (the fence), `attempts` how many count against the budget, and
    `maybe_sent_at` the latest moment at which a request may have gone out whose outcome is not known.
    `lease_until` is set while an attempt is under way (or its process died).
    """

    order: Order
    executions: Sequence[Execution]
    attempt: int
    attempts: int
    maybe_sent_at: datetime | None
    lease_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to make one attempt for an order until the lease ends.

    `attempt` is the fence that every write of this attempt carries; `attempts` counts this one too.
    `maybe_sent_at` is as in LoadedOrder; an earlier attempt that died under its lease counts as sent at its end.
    `claimed_at` is the database's clock. `is_probe` and `venue_failures` are what the venue's gate said then.
    """

    order: Order
    attempt: int
    attempts: int
    maybe_sent_at: datetime | None
    claimed_at: datetime
    is_probe: bool = False
    venue_failures: int = 0


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


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The right to write what a venue's stream says. It holds until another process leads, under a higher epoch."""

    venue: str
    epoch: int


class OrderStore(Protocol):
    """The orders table and what hangs on it. Every method raises Unavailable when the database does not answer."""

    async def accept(self, order: Order) -> Stored:
        """Store a new order, due to be placed now, unless its account already has one with its client order id."""

    async def load(self, order_ids: Collection[UUID], keys: Collection[ExecutionKey]) -> Mapping[UUID, LoadedOrder]:
        """Read orders, and of their executions those that match one of the keys. Unknown ids are left out."""

    async def write(self, writes: Sequence[OrderWrite], *, fence: Fence | None = None) -> Sequence[RecordedChange]:
        """Write all or nothing, in one statement; give back the changes with their place in the sequence.

        Raises LeadershipLost when the fence does not hold, StaleWrite when any order was written since it was read or
        its attempt is not the newest any more, and ExecutionIdTaken when an execution's id is another order's already.
        """

    async def claim(self, order_ids: Collection[UUID], *, lease: timedelta) -> Sequence[Claim]:
        """Claim those that are due and of which the venue has shown nothing; commit before returning.

        Nothing is claimed while the venue's gate is shut, and only one order, a probe, while its circuit is open.
        """

    async def claim_due(self, *, limit: int, overdue_by: timedelta, lease: timedelta) -> Sequence[Claim]:
        """Claim what has been due for longer than `overdue_by`, oldest first, skipping what others hold.

        The gate holds as for `claim`.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """How a venue's gate stands: whether its circuit is open, and how long nothing at all is claimed."""

    is_open: bool
    held_for: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class GateNews:
    """What came of telling the gate: how long it is shut now, and whether this call opened, closed or paused it."""

    is_new: bool
    held_for: timedelta


class VenueGate(Protocol):
    """The gate in front of one venue, kept in the database for all workers. Every method raises Unavailable."""

    async def state(self) -> GateState:
        """How it stands."""

    async def failed(self, *, error: str, trips_at: int, open_for: timedelta) -> GateNews:
        """One more failure in a row; from `trips_at` on the circuit is open, and shut until `open_for` from now."""

    async def worked(self) -> GateNews:
        """The run of failures is over; an open circuit is closed. A pause that the venue asked for goes on."""

    async def pause(self, *, wait: timedelta, error: str) -> GateNews:
        """Shut for that long, or longer if it already is; new when that is more than a second longer."""

    async def let_another_probe(self) -> None:
        """The probe showed nothing about the venue: the next order may be tried at once."""


class StreamPositions(Protocol):
    """Up to which moment of the venue's clock everything was recorded: where the next catch-up starts."""

    async def read(self, venue: str) -> datetime | None:
        """The stored moment, or None before the first catch-up."""

    async def advance(self, venue: str, moment: datetime, *, fence: Fence | None = None) -> None:
        """Move the position forward, if the fence holds; it never goes back."""


class LeadershipLease(Protocol):
    """Which process follows a venue's stream: one at a time, until a moment of the database's clock."""

    async def take(self, venue: str, *, leader_id: UUID, lease: timedelta) -> Fence | None:
        """Lead under a new epoch, unless somebody else does; None then."""

    async def renew(self, fence: Fence, *, lease: timedelta) -> bool:
        """Lead for that long from now; False when another one has taken over."""

    async def give_back(self, fence: Fence) -> None:
        """End the lease at once, if it is still this one."""


class DeadLetters(Protocol):
    """What could not be understood, raw, for people to look at."""

    async def keep(self, *, source: str, error: str, raw: bytes) -> None:
        """Store one; identical ones are kept once with a count."""


class InstrumentCatalog(Protocol):
    """The instruments that can be traded."""

    async def find(self, isin: str) -> Instrument | None:
        """The instrument, or None."""

    async def find_many(self, isins: Collection[str]) -> Mapping[str, Instrument]:
        """Those that exist, by ISIN."""

    async def page(self, request: PageRequest[str], *, search: str | None) -> Page[Instrument]:
        """By ISIN ascending; `search` matches the start of ISIN, symbol or name, whatever the case."""

    async def save(self, instruments: Sequence[Instrument]) -> int:
        """Insert or replace by ISIN; gives how many differ from what was stored."""


class OrderReader(Protocol):
    """Reading for people. `account_id` None sees every account (operators only)."""

    async def order(self, order_id: UUID, *, account_id: str | None) -> OrderSnapshot | None:
        """The order as it stands."""

    async def orders_by_id(
        self, order_ids: Collection[UUID], *, account_id: str | None
    ) -> Mapping[UUID, OrderSnapshot]:
        """Those that exist and are visible."""

    async def by_client_order_id(self, client_order_id: str, *, account_id: str) -> OrderSnapshot | None:
        """The account's order with that client order id."""

    async def page(
        self,
        request: PageRequest[OrderKey],
        *,
        sort: OrderSort,
        filter: OrderFilter,  # noqa: A002 - the API's word
    ) -> Page[OrderSnapshot]:
        """A keyset page of orders."""

    async def executions(self, order_id: UUID, request: PageRequest[UUID]) -> Page[ExecutionView]:
        """The order's executions, oldest first (by id); busted ones are left out."""

    async def execution(self, execution_id: UUID, *, account_id: str | None) -> ExecutionView | None:
        """One execution, if it is of a visible order."""

    async def history(self, order_id: UUID, request: PageRequest[int]) -> Page[RecordedChange]:
        """The order's changes, oldest first, keyed by version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """An order as it stands, and the place in its account's sequence at that very moment."""

    order: OrderSnapshot
    sequence: int


class ChangeLog(Protocol):
    """The accounts' sequences of changes: what a published hint missed is read here."""

    async def changes_after(
        self, account_id: str, sequence: int, *, limit: int, order_id: UUID | None = None
    ) -> Sequence[RecordedChange]:
        """The next changes in the account's sequence, optionally of one order only.

        Raises HistoryGone when the change right behind `sequence` is no longer kept.
        """

    async def order_changes_after(self, order_id: UUID, version: int, *, limit: int) -> Sequence[RecordedChange]:
        """The order's changes after that version. Raises HistoryGone when the next one is no longer kept."""

    async def position(self, account_id: str) -> int:
        """The sequence of the account's newest change; 0 before the first."""

    async def positions(self, account_ids: Collection[str]) -> Mapping[str, int]:
        """The same for many accounts in one query."""

    async def order_position(self, order_id: UUID, *, account_id: str | None) -> Position | None:
        """The order and its account's sequence, read in one statement, so that they belong together."""


# --- Waking and telling -----------------------------------------------------------------------------------------


class WakeUps(Protocol):
    """Tells a worker that something is due. A hint: it may be lost, so it never waits and never raises."""

    def placement_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        """The orders are to be placed, after that delay."""

    def cancel_due(self, order_ids: Sequence[UUID], *, within: timedelta = timedelta(0)) -> None:
        """Their cancel requests are to be sent, after that delay."""


class ChangePublisher(Protocol):
    """Tells every API process what has changed. A hint as well: called after the commit, never waits or raises."""

    def publish(self, changes: Sequence[RecordedChange]) -> None:
        """Send the changes of one commit, one message for each account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where an account's stream stands; everything after this sequence follows."""

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """What was missed is no longer kept; the stream goes on after this sequence."""

    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpToDate:
    """The stream of an order is open, and the subscriber has seen everything so far."""

    version: int


class LiveFeed(Protocol):
    """Every change exactly once and in order to one subscriber, whatever happens to the hints in between.

    Both generators free everything they hold when closed. They end only as said, or by an error.
    """

    def order(
        self, order_id: UUID, *, account_id: str | None, after_version: int | None
    ) -> AsyncGenerator[OrderSnapshot | UpToDate | RecordedChange]:
        """One order: its snapshot (or, with `after_version`, the changes since, if still kept), then each later change
        in version order. The first item comes as soon as the stream is open: where `after_version` is the newest one
        it is UpToDate. Ends after a final status. Raises OrderNotFound before the first item; `account_id` None
        sees every account."""

    def account(self, account_id: str, *, after: int | None) -> AsyncGenerator[Checkpoint | Reset | RecordedChange]:
        """All orders of the account: a checkpoint, then each change in the sequence's order; with `after`, everything
        since that sequence follows the checkpoint that names it."""


# --- The venue --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The venue took the order."""

    report: OrderAccepted


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyPlaced:
    """The venue says that it has an order with this id: an earlier attempt did arrive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotExecuted:
    """Proved not to have reached the market: the connection was never made, or the venue says so."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimited:
    """Not executed: too many requests. Every worker waits until then."""

    retry_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeUnknown:
    """Sent, and the answer proves nothing."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The venue refuses this order for good."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized:
    """The venue refuses us, not the order: the order waits, people must mend the key."""

    error: str


PlacementOutcome = Placed | AlreadyPlaced | NotExecuted | RateLimited | OutcomeUnknown | Refused | Unauthorized


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTaken:
    """The venue took the request; whether it cancels, the stream will tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelNotPossible:
    """The venue refuses: the order is over there, or cannot be canceled."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelUnknown:
    """No usable answer. Canceling twice is harmless, so it is simply sent again."""

    error: str


CancelOutcome = CancelTaken | CancelNotPossible | CancelUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue knows it. `order_id` is ours (the venue's client order id), None for a foreign order.

    `reports` says the same as facts: accepted, and ended where it is over. Its fills come by `Venue.fills`.
    """

    order_id: UUID | None
    venue_order_id: str
    terms: Terms
    filled_quantity: Decimal
    is_open: bool
    reports: Sequence[Report]
    submitted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueReport:
    """Reports about one order from one message of the venue. `at` is the venue's clock.

    `order_id` is None when the message names the order only by the venue's own id (`venue_order_id`). `raw` is the
    message as it came, where it came by itself.
    """

    order_id: UUID | None
    venue_order_id: str
    reports: Sequence[Report]
    at: datetime
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableReport:
    """A message that could not be understood."""

    raw: bytes
    error: str


class Venue(Protocol):
    """The exchange by request and answer. Its name marks executions and stream positions."""

    name: str

    async def place(self, order_id: UUID, terms: Terms) -> PlacementOutcome:
        """Send the order once, with its id as the venue's client order id. Never raises for what a venue can do."""

    async def cancel(self, venue_order_id: str) -> CancelOutcome:
        """Ask for the cancellation once. Never raises for what a venue can do."""

    async def find(self, order_id: UUID) -> VenueOrder | None:
        """Look an order up by our id; None when the venue says that it has none. Raises VenueUnreachable."""

    async def find_by_venue_order_id(self, venue_order_id: str) -> VenueOrder | None:
        """The same by the venue's own id. Raises VenueUnreachable."""

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Every order that is open at the venue. Raises VenueUnreachable."""

    def fills(self, *, since: datetime) -> AsyncIterator[Sequence[VenueReport]]:
        """Pages of fills since that moment of the venue's clock, oldest first. Raises VenueUnreachable.

        They name their orders by the venue's own id.
        """

    async def instruments(self) -> Sequence[Instrument]:
        """What the venue trades, where it tells the ISIN. Raises VenueUnreachable."""


class VenueStream(Protocol):
    """The exchange's execution stream: no sequence numbers, no replay, no promise of order."""

    def connect(self) -> AbstractAsyncContextManager[AsyncIterator[VenueReport | UnreadableReport]]:
        """Open, authenticate and listen; then yield what comes until the connection ends.

        Raises VenueUnreachable when it cannot be opened; the iterator ends or raises it when the connection is lost.
        """
