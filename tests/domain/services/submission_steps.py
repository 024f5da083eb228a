"""Possible steps in the world of `submission_world`, the invariants after each step, and the check that a quiet phase
ends everything.

Each step takes small numbers and uses them to choose among the available objects, so that Hypothesis and a plain seed
can drive it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from domain.model.errors import (
    RequestHeldBackError,
    UnavailableError,
    VenueBusyError,
    VenueNotConnectedError,
    VenueUnauthorizedError,
    VenueUnreachableError,
)
from domain.model.order import End, Order, OrderStatus, VenueRank
from domain.model.values import ReasonSource
from domain.ports.venue_outcomes import (
    AlreadyPlaced,
    NotExecuted,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unauthorized,
)
from tests.domain.services.submission_world import LEASE, MAX_ATTEMPTS, SECOND, Place, Request, Waiting, World
from tests.support.examples import VENUE_SAYS, filled

ORDERS_MAX = 3
PAUSES = ((), (), (Place.CLAIMED,), (Place.WRITING,))
TIMES = (0.5 * SECOND, SECOND, 2 * SECOND, 5 * SECOND, 9 * SECOND, 16 * SECOND, 31 * SECOND, 121 * SECOND)
NOT_TAKEN = (
    NotExecuted(error="not executed"),
    NotSent(error="connection refused"),
    RateLimited(retry_after=7 * SECOND),
    Unauthorized(error="bad key"),
    Rejected(reason=VENUE_SAYS),
)
GATEWAY_ANSWERS = (Unauthorized(error="HTTP 401"), OutcomeUnknown(error="HTTP 429", retry_after=7 * SECOND))
"""Answers that may come although the venue has the order, and that cost no attempt."""
NO_LOOK_UP = (
    VenueUnreachableError("no answer"),
    VenueBusyError("HTTP 429", retry_after=3 * SECOND),
    VenueUnauthorizedError("HTTP 401"),
    VenueNotConnectedError("connection refused"),
    RequestHeldBackError("nothing is left", retry_after=3 * SECOND),
)
CALM_ROUNDS = 60

Item = TypeVar("Item")


class Steps:
    """One history of the world."""

    def __init__(self) -> None:
        self.world = World()
        self._seen_changes = 0
        self._checked: dict[UUID, Order] = {}
        self._versions: dict[UUID, int] = {}
        self._refused_though_there: set[str] = set()
        self.world.store_order()

    # --- Steps --------------------------------------------------------------------------------------------------

    def store_order(self) -> None:
        if len(self.world.store.rows) < ORDERS_MAX:
            self.world.store_order()

    def wake(self, worker: int, *, pause: int) -> None:
        ids = list(self.world.store.rows)
        _pick(self.world.workers, worker).submit(ids, pauses_at=_pick(PAUSES, pause))

    def sweep(self, worker: int, *, pause: int) -> None:
        _pick(self.world.workers, worker).sweep(pauses_at=_pick(PAUSES, pause))

    def die(self, worker: int) -> None:
        _pick(self.world.workers, worker).die()

    def pass_time(self, which: int) -> None:
        self.world.let_pass(_pick(TIMES, which))

    def arrive(self, which: int, *, is_hidden: bool) -> None:
        """Deliver a sent request to the venue."""
        now = self.world.clock()
        coming = [request for request in self.world.requests if request.may_arrive(now)]
        if coming:
            self.world.arrive(_pick(coming, which), is_hidden=is_hidden)

    def answer_placement(self, which: int, *, how: int) -> None:
        """Answer a submission: correctly, not at all, or with a refusal of an order that exists."""
        waiting = self._waiting(Place.SENDING, which)
        if waiting is None or waiting.request is None:
            return
        request = waiting.request
        answer: object = OutcomeUnknown(error="read timed out")
        if request.has_arrived:
            answers = (self.world.placed(request.name), self.world.placed(request.name), AlreadyPlaced())
            answer = _pick((*answers, answer, *GATEWAY_ANSWERS, Rejected(reason=VENUE_SAYS)), how)
            if isinstance(answer, Rejected):  # A gateway's, or that of a second request that crossed with this one.
                self._refused_though_there.add(request.name)
        elif how % 6 < len(NOT_TAKEN):
            answer, request.is_over = NOT_TAKEN[how % 6], True
        if isinstance(answer, OutcomeUnknown):
            request.lost_at = self.world.clock()
        request.is_free = isinstance(answer, NotSent | RateLimited | Unauthorized) or answer in GATEWAY_ANSWERS
        self.world.answer(waiting, answer)

    def answer_look_up(self, which: int, *, how: int) -> None:
        """Answer a look-up, correctly or not at all."""
        waiting = self._waiting(Place.LOOKING_UP, which)
        if waiting is not None and waiting.name is not None:
            self.world.answer(waiting, _pick((self.world.found(waiting.name),) * 3 + NO_LOOK_UP, how))

    def go_on(self, which: int, *, is_database_there: bool) -> None:
        """Resume a worker that waits for the database, perhaps without its answer."""
        still = [one for one in self.world.waiting if one.place in {Place.CLAIMED, Place.WRITING}]
        if still:
            self.world.answer(_pick(still, which), None if is_database_there else UnavailableError())

    def cancel(self, which: int) -> None:
        self.world.cancel(_pick(list(self.world.store.rows), which))

    def deliver_cancels(self) -> None:
        self.world.deliver_cancels()

    def reject_later(self, which: int) -> None:
        if self.world.venue.orders:
            self.world.end_at_venue(_pick(list(self.world.venue.orders), which), End.REJECTED)

    def tell(self, which: int, *, fills: bool) -> None:
        """Send the venue's state of an order on the stream."""
        if not self.world.venue.orders:
            return
        venue_name = _pick(list(self.world.venue.orders), which)
        order = self.world.venue.orders[venue_name]
        name = f"E-{venue_name}"
        reports = [filled("4", name=name, venue_order_id=order.venue_order_id)] if fills else order.reports
        self.world.run(self.world.recording.record({venue_name: reports}))

    # --- What must hold -----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check the invariants after every step."""
        world = self.world
        assert not world.violations, world.violations
        self._check_changes()
        for row in world.store.rows.values():
            order = row.order
            self._check_end(order)
            assert row.submit_due_at is not None or _is_settled(order), (
                f"{order.id} is {order.status} and nobody will ever look at it"
            )
        sent = Counter(request.name for request in world.requests if not request.is_free)
        assert all(count <= MAX_ATTEMPTS for count in sent.values()), f"sent too often: {sent}"

    def _check_changes(self) -> None:
        """Versions rise by one, and the account's sequence has no gap."""
        log = self.world.store.changes.get("alice", [])
        for change in log[self._seen_changes :]:
            self._seen_changes += 1
            assert change.sequence == self._seen_changes
            assert change.order.version == self._versions.get(change.order.id, 0) + 1
            self._versions[change.order.id] = change.order.version

    def _check_end(self, order: Order) -> None:
        """We ended an order only when the venue does not have it and no request can still deliver it."""
        if self._checked.get(order.id) is order:
            return
        self._checked[order.id], now = order, order.status
        if not _is_believed_absent(order) or order.venue_client_order_id in self._refused_though_there:
            return
        assert order.venue_client_order_id not in self.world.venue.orders, f"{order.id} is {now}, and the venue has it"
        moment = self.world.clock()
        coming = [
            one for one in self.world.requests if one.name == order.venue_client_order_id and one.may_arrive(moment)
        ]
        assert not coming, f"{order.id} is {now}, and a request is on its way"

    # --- Calm ---------------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Stop all faults: within some rounds everything ends, and both sides agree."""
        for _ in range(CALM_ROUNDS):
            self._answer_all()
            if all(_is_settled(row.order) for row in self.world.rows()):
                break
            self.world.let_pass(LEASE / 4)
            _pick(self.world.workers, 0).sweep(pauses_at=())
            self._answer_all()
            self.check()
        for number in range(len(self.world.venue.orders)):
            self.tell(number, fills=False)
        for stored in self.world.rows():
            assert _is_settled(stored.order), f"{stored.order.id} is still {stored.order.status}"
            self._check_agreement(stored.order)

    def _answer_all(self) -> None:
        while self.world.waiting:
            waiting = self.world.waiting[0]
            if waiting.place is Place.SENDING and waiting.request is not None:
                self._answer_well(waiting, waiting.request)
            elif waiting.name is not None:
                self.world.answer(waiting, self.world.found(waiting.name))
            else:
                self.world.answer(waiting, None)

    def _answer_well(self, waiting: Waiting, request: Request) -> None:
        if request.may_arrive(self.world.clock()):
            self.world.arrive(request, is_hidden=False)
        if request.has_arrived:
            self.world.answer(waiting, self.world.placed(request.name))
        else:
            request.is_over = True
            self.world.answer(waiting, NotExecuted(error="it never arrived"))

    def _check_agreement(self, order: Order) -> None:
        at_venue = order.venue_client_order_id in self.world.venue.orders
        if _is_believed_absent(order):
            assert not at_venue, f"{order.id} is {order.status}, and the venue has it"
        elif order.status is not OrderStatus.REJECTED:
            assert at_venue, f"{order.id} is {order.status}, and the venue has never seen it"

    def _waiting(self, place: Place, which: int) -> Waiting | None:
        waiting = [one for one in self.world.waiting if one.place is place]
        return _pick(waiting, which) if waiting else None


def _is_settled(order: Order) -> bool:
    return order.facts.rank > VenueRank.NONE or order.status.is_final


def _is_believed_absent(order: Order) -> bool:
    """Whether the order is final only because the venue is believed not to have it."""
    if order.status is OrderStatus.REJECTED:
        return End.REJECTED not in order.facts.ends
    return order.status is OrderStatus.FAILED or _was_canceled_by_us(order)


def _was_canceled_by_us(order: Order) -> bool:
    reason = order.facts.end_reasons.get(End.CANCELED)
    is_ours = reason is not None and reason.source is ReasonSource.ACCOUNT
    return order.status is OrderStatus.CANCELED and is_ours and order.facts.rank is VenueRank.NONE


def _pick(items: Sequence[Item], which: int) -> Item:
    return items[which % len(items)]
