"""The second story: bring an accepted order to the exchange. Claim, look up, send once, conclude from the answer.

An order is sent only under a claim that was committed before, with the order's own id as the venue's client order id,
for ever the same. Every attempt but a first one looks it up first. What the venue answers is concluded under the
attempt's number: an older attempt that wakes up late writes nothing. Unknown stays unknown until there is evidence.
While trading is halted nothing is sent; what an attempt may have sent before is still looked up.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from domain.errors import KeyRefused, StaleWrite, TryAgain, VenueBusy, VenueUnreachable
from domain.execution import STALE_WRITES_MAX, Recording
from domain.gate import Gatekeeper, VenueSign
from domain.order import CANCELED_BEFORE_SENDING, End, Order, is_placing_over
from domain.ports.order_store import AttemptEnd, Claim, LoadedOrder, OrderStore
from domain.ports.telling import WakeUps
from domain.ports.trading_control import TradingHalts
from domain.ports.venue import (
    AlreadyPlaced,
    NotExecuted,
    OutcomeUnknown,
    Placed,
    RateLimited,
    Refused,
    Unauthorized,
    Venue,
    VenueOrder,
)
from domain.reports import OrderEnded, PlacementBecameUnknown, PlacementGivenUp, Report
from domain.telemetry import Metric, Telemetry
from domain.values import Reason, ReasonSource

AT_ONCE = timedelta(0)
HALT_UNSEEN_MAX_SECONDS = 0.05
"""How old a claim may be to be sent without a look at the halts; one look costs less than a hundredth of that."""
ProvingOutcome = Placed | NotExecuted | RateLimited | OutcomeUnknown | Refused | Unauthorized
"""Every outcome that is judged by itself; AlreadyPlaced asks for a look-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionPolicy:
    """How patient placing is. `settle` is how long the venue may hide a fresh order from a look-up; `lease` must be
    longer than two look-ups and one send can take. An order older than `max_age` is not sent any more."""

    max_attempts: int
    backoff: timedelta
    backoff_max: timedelta
    settle: timedelta
    lease: timedelta
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one attempt found out: the reports for the order, how the attempt ended, what it shows of the venue."""

    outcome: str
    sign: VenueSign = VenueSign.NOTHING
    reports: Sequence[Report] = ()
    error: str | None = None
    counts: bool = True
    may_have_been_sent: bool = False
    next_in: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Places orders. `random` gives a number from 0 to 1 for the jitter of the back-off; `slots` bounds the attempts
    that this process makes at once."""

    orders: OrderStore
    venue: Venue
    gatekeeper: Gatekeeper
    recording: Recording
    wake_ups: WakeUps
    telemetry: Telemetry
    policy: SubmissionPolicy
    random: Callable[[], float]
    slots: asyncio.Semaphore
    halts: TradingHalts

    async def place(self, order_ids: Collection[UUID]) -> int:
        """Make one attempt for each of the orders that is due; gives how many were.

        Raises Unavailable when the database does not answer.
        """
        claimed_at = self._now()
        claims = await self.orders.claim(order_ids, lease=self.policy.lease)
        await self._attempt_all(claims, claimed_at=claimed_at)
        return len(claims)

    async def sweep(self, *, limit: int, overdue_by: timedelta) -> int:
        """Make one attempt for each of the most overdue orders, whatever became of their wake-up; gives how many."""
        claimed_at = self._now()
        claims = await self.orders.claim_due(limit=limit, overdue_by=overdue_by, lease=self.policy.lease)
        await self._attempt_all(claims, claimed_at=claimed_at)
        return len(claims)

    def _now(self) -> float:
        """The moment by the monotonic clock, to be asked before claiming.

        A wall clock may jump, and a process that stood still, even between the claim's commit and its answer, must
        notice that its lease is gone.
        """
        return asyncio.get_running_loop().time()

    async def _attempt_all(self, claims: Sequence[Claim], *, claimed_at: float) -> None:
        async with asyncio.TaskGroup() as tasks:
            for claim in claims:
                tasks.create_task(self._attempt(claim, claimed_at=claimed_at))

    async def _attempt(self, claim: Claim, *, claimed_at: float) -> None:
        try:
            async with self.slots:
                finding = await self._find_out(claim, claimed_at=claimed_at)
                self.telemetry.count(Metric.PLACEMENT_ATTEMPTS, outcome=finding.outcome)
                # First the gate: when the order is due again, it must be shut already.
                await self.gatekeeper.note(finding.sign, claim, error=finding.error, wait=finding.next_in)
            # The venue waits for nobody's database: its slot is free for the next one meanwhile.
            await self._conclude(claim, finding)
        except Exception as error:  # noqa: BLE001 - whatever happens to one order must not cancel the others' sends
            say = self.telemetry.warning if isinstance(error, TryAgain) else self.telemetry.error
            say(
                "attempt_not_concluded",
                order_id=str(claim.order.id),
                attempt=claim.attempts,
                error=repr(error),
                next="looked up at the venue when its lease has ended",
            )

    async def _find_out(self, claim: Claim, *, claimed_at: float) -> Finding:
        if claim.order.facts.cancel.is_open and claim.maybe_sent_at is None:
            return _canceled_before_sending(claim)
        held_for = self.gatekeeper.held_for(claimed_at=claimed_at)
        if held_for > AT_ONCE:
            return Finding(
                outcome="held_back",
                reports=_doubts(claim),
                error=self.gatekeeper.reason,
                counts=False,
                next_in=held_for,
            )
        if claim.attempt > 1:
            known = await self._look_up(claim)
            if known is not None:
                return known
        return (
            self._not_to_be_sent(claim, claimed_at=claimed_at)
            or await self._halted(claim, claimed_at=claimed_at)
            or await self._send(claim)
        )

    def _not_to_be_sent(self, claim: Claim, *, claimed_at: float) -> Finding | None:
        """Why an order that the venue does not have is not sent now; None when it is."""
        if claim.order.facts.cancel.is_open:
            return _canceled_before_sending(claim)
        if self._is_too_old(claim):
            return self._too_old(claim)
        if claim.attempts > self.policy.max_attempts:
            return self._used_up(claim, error="every attempt was used up")
        if self._now() - claimed_at > self.policy.lease.total_seconds() / 2:
            return Finding(
                outcome="too_late", error="the lease ran low before it was sent", counts=False, next_in=AT_ONCE
            )
        return None

    async def _halted(self, claim: Claim, *, claimed_at: float) -> Finding | None:
        """Why nothing is sent while trading is halted for the account; None when it is not.

        The claim has looked. One that waited, for a slot or for a look-up's answer, looks again: what was claimed just
        before a halt and is sent seconds later is what a halt must stop.
        """
        is_fresh = self._now() - claimed_at < HALT_UNSEEN_MAX_SECONDS
        try:
            if not claim.is_halted and (is_fresh or not await self.halts.is_halted(claim.order.account_id)):
                return None
        except TryAgain as error:
            return Finding(
                outcome="halt_unknown",
                reports=_doubts(claim),
                error=f"whether trading is halted cannot be told: {error}",
                counts=False,
                next_in=self._backoff(claim),
            )
        return Finding(
            outcome="halted",
            reports=_doubts(claim),
            error="trading is halted for the account: not sent before it is resumed",
            counts=False,
            next_in=self.policy.backoff if claim.maybe_sent_at is None else self.policy.backoff_max,
        )

    async def _send(self, claim: Claim) -> Finding:
        outcome = await self.venue.place(claim.order.id, claim.order.terms)
        if isinstance(outcome, AlreadyPlaced):
            return await self._adopt(claim)
        return self._judge(claim, outcome)

    async def _adopt(self, claim: Claim) -> Finding:
        """The venue says that it has the order: until a look-up shows it, that is all that is known.

        No such attempt counts: an order that the venue claims to have is never given up because the budget ran out.
        """
        try:
            found = await self.venue.find(claim.order.id)
        except VenueUnreachable as error:
            claimed = self._unknown(claim, f"the venue has it, and cannot be asked: {error}", may_have_been_sent=True)
            return replace(claimed, counts=False)
        if found is None:
            return self._not_shown(claim)
        return self._adopted(claim, found)

    def _not_shown(self, claim: Claim) -> Finding:
        """Claimed and not found: hidden as fresh orders may be, or, when the settle time is over, a contradiction."""
        if claim.maybe_sent_at is not None:
            self.telemetry.error(
                "venue_contradicts_itself",
                order_id=str(claim.order.id),
                next="stays in doubt and is looked up again; ask the exchange whether it has the order",
            )
        hidden = self._unknown(claim, "the venue has it, but does not show it yet", may_have_been_sent=True)
        return replace(hidden, sign=VenueSign.NOTHING, counts=False)

    async def _look_up(self, claim: Claim) -> Finding | None:
        """Ask the venue whether it has the order. None means: it has not, for certain, and it may be sent."""
        try:
            found = await self.venue.find(claim.order.id)
        except VenueBusy as error:
            return _rate_limited(error.retry_after, reports=_doubts(claim))
        except KeyRefused as error:
            return self._unauthorized(str(error), reports=_doubts(claim))
        except VenueUnreachable as error:
            return self._not_looked_up(claim, str(error))
        if found is not None:
            return self._adopted(claim, found)
        if claim.maybe_sent_at is None:
            return None
        wait = claim.maybe_sent_at + self.policy.settle - claim.claimed_at
        if wait <= timedelta(0):
            return None
        return Finding(
            outcome="settling",
            reports=_doubts(claim),
            error="not found at the venue yet; too early to be sure",
            counts=False,
            next_in=wait,
        )

    def _adopted(self, claim: Claim, found: VenueOrder) -> Finding:
        if claim.order.terms.is_at_venue_as(found.terms):
            return Finding(outcome="found", sign=VenueSign.WORKS, reports=found.reports)
        self.telemetry.error(
            "venue_order_mismatch",
            order_id=str(claim.order.id),
            venue_order_id=found.venue_order_id,
            next="not adopted and not sent again; compare both orders and decide by hand",
        )
        error = "the venue has a different order under this order's id"
        return Finding(
            outcome="mismatch",
            reports=[_became_unknown(claim, "The venue has a different order under this order's id.")],
            error=error,
            counts=False,
            next_in=self.policy.backoff_max,
        )

    def _not_looked_up(self, claim: Claim, error: str) -> Finding:
        """The look-up itself failed: that proves nothing new. What was never sent may be given up all the same."""
        if claim.maybe_sent_at is not None:
            return self._unknown(claim, error)
        if self._is_too_old(claim):
            return self._too_old(claim, sign=VenueSign.FAILS)
        return self._not_executed(claim, error)

    def _judge(self, claim: Claim, outcome: ProvingOutcome) -> Finding:
        """The venue's table: what each answer proves, and what follows."""
        match outcome:
            case Placed(report=report):
                return Finding(outcome="placed", sign=VenueSign.WORKS, reports=[report])
            case Refused(reason=reason):
                end = OrderEnded(end=End.REJECTED, reason=reason, venue_order_id=None, at=claim.claimed_at)
                return Finding(outcome="refused", sign=VenueSign.WORKS, reports=[end])
            case NotExecuted(error=error):
                return self._not_executed(claim, error)
            case OutcomeUnknown(error=error):
                return self._unknown(claim, error, may_have_been_sent=True)
            case RateLimited(retry_after=retry_after):
                return _rate_limited(retry_after)
            case Unauthorized(error=error):
                return self._unauthorized(error)

    def _unauthorized(self, error: str, *, reports: Sequence[Report] = ()) -> Finding:
        self.telemetry.error("venue_unauthorized", error=error, next="the order waits; mend EXCHANGE_KEY")
        return Finding(
            outcome="unauthorized",
            sign=VenueSign.FAILS,
            reports=reports,
            error=error,
            counts=False,
            next_in=self.policy.backoff_max,
        )

    def _not_executed(self, claim: Claim, error: str) -> Finding:
        if claim.attempts >= self.policy.max_attempts:
            return self._used_up(claim, error=error, sign=VenueSign.FAILS)
        return Finding(outcome="not_executed", sign=VenueSign.FAILS, error=error, next_in=self._backoff(claim))

    def _unknown(self, claim: Claim, error: str, *, may_have_been_sent: bool = False) -> Finding:
        return Finding(
            outcome="unknown",
            sign=VenueSign.FAILS,
            reports=[_became_unknown(claim, f"The outcome of the placement is not known: {error}.")],
            error=error,
            may_have_been_sent=may_have_been_sent,
            next_in=self._backoff(claim),
        )

    def _used_up(self, claim: Claim, *, error: str, sign: VenueSign = VenueSign.NOTHING) -> Finding:
        message = (
            f"Not placed after {self.policy.max_attempts} attempts; the venue does not have it. Last error: {error}"
        )
        return _given_up(claim, code="ATTEMPTS_USED_UP", message=message, error=error, sign=sign)

    def _is_too_old(self, claim: Claim) -> bool:
        max_age = self.policy.max_age
        return max_age is not None and claim.claimed_at - claim.order.created_at > max_age

    def _too_old(self, claim: Claim, *, sign: VenueSign = VenueSign.NOTHING) -> Finding:
        age = (claim.claimed_at - claim.order.created_at).total_seconds()
        message = f"Not sent any more: the order is {age:.0f} s old; the venue does not have it."
        return _given_up(claim, code="TOO_OLD", message=message, error="too old to be sent", sign=sign)

    def _backoff(self, claim: Claim) -> timedelta:
        """Exponential, capped, and jittered between half and the whole, so that orders do not come back in step."""
        exponent = min(max(claim.attempts - 1, 0), 30)
        delay: timedelta = min(self.policy.backoff * 2**exponent, self.policy.backoff_max)
        return timedelta(seconds=delay.total_seconds() * (0.5 + self.random() / 2))

    async def _conclude(self, claim: Claim, finding: Finding) -> None:
        """Write what was found under the attempt's number; an attempt that lost its claim writes nothing."""
        row: LoadedOrder | None = _as_claimed(claim)
        for _ in range(STALE_WRITES_MAX):
            if row is None or row.attempt != claim.attempt:
                self.telemetry.warning("attempt_fenced", order_id=str(claim.order.id), attempt=claim.attempt)
                return
            decision = self.recording.decide(row, finding.reports, attempt_end=self._attempt_end(claim, finding))
            try:
                await self.recording.commit([decision])
            except StaleWrite:
                row = (await self.orders.load([claim.order.id], [])).get(claim.order.id)
                continue
            self._schedule_next(claim, finding, decision.applied.order)
            return
        raise StaleWrite

    def _attempt_end(self, claim: Claim, finding: Finding) -> AttemptEnd:
        return AttemptEnd(
            attempt=claim.attempt,
            error=finding.error,
            counts=finding.counts and claim.attempts <= self.policy.max_attempts,
            may_have_been_sent=finding.may_have_been_sent,
            next_in=finding.next_in,
        )

    def _schedule_next(self, claim: Claim, finding: Finding, order: Order) -> None:
        if finding.next_in is None or is_placing_over(order.facts):
            return
        self.telemetry.count(Metric.PLACEMENTS_RETRIED)
        self.telemetry.warning(
            "placement_postponed",
            order_id=str(claim.order.id),
            attempt=claim.attempts,
            status=order.status,
            error=finding.error,
            delay_seconds=round(finding.next_in.total_seconds(), 3),
            next="attempted again by itself",
        )
        self.wake_ups.placement_due([claim.order.id], within=finding.next_in)


def _as_claimed(claim: Claim) -> LoadedOrder:
    """The row as the claim returned it; no need to read it again."""
    return LoadedOrder(
        order=claim.order,
        executions=(),
        attempt=claim.attempt,
        attempts=claim.attempts,
        maybe_sent_at=claim.maybe_sent_at,
        lease_until=None,
    )


def _rate_limited(retry_after: timedelta, *, reports: Sequence[Report] = ()) -> Finding:
    return Finding(
        outcome="rate_limited",
        sign=VenueSign.BUSY,
        reports=reports,
        error=f"too many requests for the venue; waiting {retry_after.total_seconds():.1f} s",
        counts=False,
        next_in=retry_after,
    )


def _given_up(claim: Claim, *, code: str, message: str, error: str, sign: VenueSign) -> Finding:
    reason = Reason(source=ReasonSource.SYSTEM, code=code, message=message)
    report = PlacementGivenUp(reason=reason, at=claim.claimed_at)
    return Finding(outcome="given_up", sign=sign, reports=[report], error=error)


def _canceled_before_sending(claim: Claim) -> Finding:
    report = OrderEnded(end=End.CANCELED, reason=CANCELED_BEFORE_SENDING, venue_order_id=None, at=claim.claimed_at)
    return Finding(outcome="canceled", reports=[report], counts=False)


def _doubts(claim: Claim) -> Sequence[Report]:
    """What has to be told of an order that an attempt leaves alone: whether an earlier one, perhaps a killed one, may
    have sent it."""
    if claim.maybe_sent_at is None:
        return ()
    return [_became_unknown(claim, "The answer to the placement was lost.")]


def _became_unknown(claim: Claim, message: str) -> PlacementBecameUnknown:
    reason = Reason(source=ReasonSource.SYSTEM, code="OUTCOME_UNKNOWN", message=message)
    return PlacementBecameUnknown(reason=reason, at=claim.claimed_at)
