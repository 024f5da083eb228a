"""The records of a run to check: answers to clients, actions of the exchange, stored rows. Plain values.

Ids of orders are our order ids, texts of UUIDs; the journal's client order ids are replaced by them.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Literal


@cache
def one(number: Decimal | str) -> Decimal:
    """Return the number as the one object that all its occurrences share: a run has millions."""
    return number if isinstance(number, Decimal) else Decimal(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceAnswer:
    """The answer of one `placeOrder`: "ok" (acknowledged), "info" (no usable answer: perhaps stored) or "refused".

    Times are in epoch seconds.
    """

    account_id: str
    client_order_id: str
    outcome: Literal["ok", "info", "refused"]
    order_id: str | None = None
    replayed: bool = False
    told: str = ""
    asked_at: float = 0.0
    answered_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAnswer:
    """The answer of one `cancelOrder`: "ok" (stored), "info" or "refused"."""

    order_id: str
    outcome: Literal["ok", "info", "refused"]
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a subscription. `place` is the sequence in an account's stream, the version in an order's."""

    kind: str
    place: int
    order_id: str | None = None
    version: int | None = None
    status: str | None = None
    filled_quantity: Decimal | None = None
    shows_difference: bool = False  # The venue counts another quantity as filled.


@dataclass(slots=True, kw_only=True)
class Session:
    """One subscription from its start to its loss: its start position `after` (None: from now), and its messages,
    in order.
    """

    after: int | None
    messages: list[Message] = field(default_factory=list)
    completed: bool = False


@dataclass(slots=True, kw_only=True)
class Following:
    """One subscriber of an account (`order_id` None) or of one order, over all its reconnects."""

    subscriber: int
    account_id: str
    order_id: str | None = None
    sessions: list[Session] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def last_place(self) -> int | None:
        """The place of the newest message; None before the first."""
        for session in reversed(self.sessions):
            if session.messages:
                return session.messages[-1].place
        return None

    @property
    def is_over(self) -> bool:
        """Whether the server has completed it."""
        return bool(self.sessions) and self.sessions[-1].completed


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order that the exchange accepted, in its last state: its terms, and its fills after all busts and
    corrections. `end` is how it ended there (filled, canceled, …), None while open. `is_forgotten`: it no longer
    changes, and is not reported.
    """

    order_id: str
    venue_order_id: str
    symbol: str
    quantity: Decimal
    filled_quantity: Decimal
    end: str | None
    is_forgotten: bool = False

    @property
    def is_short(self) -> bool:
        """Return whether the exchange reports it as filled, and has busted some of its executions: it never
        continues there.
        """
        return self.end == "filled" and self.filled_quantity < self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueExecution:
    """An execution in the exchange's journal, as it is after all corrections; a busted one has the quantity 0.

    `execution_id` is the first of its ids; `order_id` is its order's, as in VenueOrder.
    """

    execution_id: str
    order_id: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrder:
    """An order in the database, with its current terms. `derived_status` is derived from its facts by the domain's
    rule.
    """

    id: str
    account_id: str
    client_order_id: str
    venue_client_order_id: str
    venue_order_id: str | None
    symbol: str
    quantity: Decimal
    status: str
    derived_status: str
    version: int
    filled_quantity: Decimal
    notional: Decimal
    is_due: bool
    is_cancel_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExecution:
    """An execution in the database that counts, 0 for a busted one. `execution_id` is the first of its ids."""

    execution_id: str
    order_id: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChange:
    """A change in the database."""

    account_id: str
    sequence: int
    order_id: str
    version: int
    kind: str
    status: str
    filled_quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacingStep:
    """One write to an order's placing, recorded by a trigger in the database. `writer` is one start of one process.

    `lease_left_seconds` is the rest of the lease before the write (None: there was none, negative: it had ended).
    `was_over`: placing had ended already, as the exchange had reported the order during the attempt. `has_evidence`:
    after the write the order has a report of the exchange, or an end.
    """

    order_id: str
    attempt_before: int
    attempt: int
    lease_left_seconds: float | None
    is_leased: bool
    attempts_changed: bool
    maybe_sent_changed: bool
    writer: str
    was_over: bool = False
    has_evidence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderStep:
    """One write to the stream's position: the leader's epoch and the moment (epoch seconds), before and after."""

    epoch_before: int
    epoch: int
    moment_before: float | None
    moment: float | None
    writer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One statement of an ingest that wrote changes, and the epoch at its commit."""

    writer: str
    epoch: int
    transaction_id: str
    changes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRequest:
    """A request about one order that arrived at the exchange: a submission, or a look-up by the client order id.

    `at` is in epoch seconds. `life` counts the starts of the exchange. `shows_absence` marks a look-up that the
    exchange itself, not a gateway, has answered with 404.
    """

    order_id: str
    at: float
    life: int
    is_submission: bool
    shows_absence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A process that was stopped, from and to that moment in epoch seconds."""

    process: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.ended - self.began


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltPeriod:
    """A halt of one account, from its acknowledgement to the request to resume, in epoch seconds."""

    account_id: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """Something that must be small again after the calm, what it is, and how large it may be."""

    name: str
    value: float
    allowed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All records. `requests` are in the order of their arrival; `lives_cut_short` are the starts of the exchange
    whose last requests are not known.
    """

    place_answers: Sequence[PlaceAnswer] = ()
    cancel_answers: Sequence[CancelAnswer] = ()
    followings: Sequence[Following] = ()
    venue_orders: Sequence[VenueOrder] = ()
    venue_executions: Sequence[VenueExecution] = ()
    orders: Sequence[StoredOrder] = ()
    executions: Sequence[StoredExecution] = ()
    changes: Sequence[StoredChange] = ()
    sequences: dict[str, int] = field(default_factory=dict)
    placing_steps: Sequence[PlacingStep] = ()
    leader_steps: Sequence[LeaderStep] = ()
    batches: Sequence[Batch] = ()
    requests: Sequence[VenueRequest] = ()
    lives_cut_short: AbstractSet[int] = frozenset()
    pauses: Sequence[Pause] = ()
    halts: Sequence[HaltPeriod] = ()
    lease_seconds: float = 0.0
    leftovers: Sequence[Leftover] = ()
    quiet_seconds: float | None = 0.0
    behind_seconds: float | None = 0.0
