"""The second story: bring an accepted order to the exchange. Claim, look up, send once, conclude from the answer.

An order is sent only under a claim that was committed before, with the order's own id as the venue's client order id,
for ever the same. Every attempt but a first one looks it up first. What the venue answers is concluded under the
attempt's number: an older attempt that wakes up late writes nothing. Unknown stays unknown until there is evidence.
While trading is halted nothing is sent; what an attempt may have sent before is still looked up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.model.errors import TransientError, VenueBusyError, VenueUnauthorizedError, VenueUnreachableError
from domain.ports.order_store import Claim, OrderStore
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import AlreadyPlaced, Venue
from domain.services.attempt_policy import (
    TOO_LATE,
    AttemptPolicy,
    AttemptResult,
    canceled_before_sending,
    doubts,
    held_back,
    rate_limited,
)
from domain.services.attempt_recorder import FinishedAttempt
from domain.services.circuit_breaker import CircuitBreaker
from domain.services.claim_budget import BudgetExhaustedError, ClaimBudget, Reserved
from domain.services.halt_cache import HaltCache

AT_ONCE = timedelta(0)
WAITS_OF_A_LEASE = 4
"""For room to claim orders a job waits a quarter of a lease, no longer; the sweeper finds the orders then. A job that
waited on would be cut by its time-out in the midst of what it sends."""


def longest_job(lease: timedelta) -> timedelta:
    """How long `place` takes at most: the wait for room, and the lease, in which all that it began has ended."""
    return lease / WAITS_OF_A_LEASE + lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Places orders. `slots` bounds the attempts that this process makes at once, `ahead` how much is claimed for
    slots that are not free yet; `conclude` writes down how one ended, together with others (see
    domain.services.attempt_recorder)."""

    orders: OrderStore
    venue: Venue
    breaker: CircuitBreaker
    telemetry: Telemetry
    judge: AttemptPolicy
    conclude: Callable[[FinishedAttempt], Awaitable[None]]
    slots: asyncio.Semaphore
    ahead: ClaimBudget
    halts: HaltCache

    async def place(self, order_ids: Collection[UUID]) -> int:
        """Make one attempt for each of the orders that is due; gives how many were, none when there was no room.

        Raises Unavailable when the database does not answer.
        """
        lease = self.judge.policy.lease
        try:
            async with self.ahead.claiming(len(order_ids), within=lease / WAITS_OF_A_LEASE) as reserved:
                claimed_at = self._now()
                claims = await self.orders.claim(order_ids, lease=lease)
                await self._attempt_all(claims, reserved, claimed_at=claimed_at)
                return len(claims)
        except BudgetExhaustedError:
            return 0

    async def sweep(self, *, limit: int, overdue_by: timedelta) -> int:
        """Make one attempt for each of the most overdue orders, whatever became of their wake-up; gives how many."""
        lease = self.judge.policy.lease
        try:
            async with self.ahead.claiming(limit, within=lease / WAITS_OF_A_LEASE) as reserved:
                claimed_at = self._now()
                claims = await self.orders.claim_due(limit=limit, overdue_by=overdue_by, lease=lease)
                await self._attempt_all(claims, reserved, claimed_at=claimed_at)
                return len(claims)
        except BudgetExhaustedError:
            return 0

    def _now(self) -> float:
        """The moment by the monotonic clock, to be asked before claiming.

        A wall clock may jump, and a process that stood still, even between the claim's commit and its answer, must
        notice that its lease is gone.
        """
        return asyncio.get_running_loop().time()

    async def _attempt_all(self, claims: Sequence[Claim], reserved: Reserved, *, claimed_at: float) -> None:
        reserved.keep(len(claims))
        async with asyncio.TaskGroup() as tasks:
            for claim in claims:
                tasks.create_task(self._attempt(claim, reserved, claimed_at=claimed_at))

    async def _attempt(self, claim: Claim, reserved: Reserved, *, claimed_at: float) -> None:
        try:
            async with self.slots:
                reserved.begin()
                finding = await self._find_out(claim, claimed_at=claimed_at)
                self.telemetry.count(Metric.SUBMISSION_ATTEMPTS, outcome=finding.outcome)
                # First the gate: when the order is due again, it must be shut already.
                await self.breaker.note(finding.sign, claim, error=finding.error, wait=finding.next_in)
            # The venue waits for nobody's database: its slot is free for the next one meanwhile.
            await self.conclude(FinishedAttempt(claim=claim, finding=finding))
        except Exception as error:  # noqa: BLE001 - whatever happens to one order must not cancel the others' sends
            say = self.telemetry.warning if isinstance(error, TransientError) else self.telemetry.error
            say(
                "attempt_not_concluded",
                order_id=str(claim.order.id),
                attempt=claim.attempts,
                error=repr(error),
                next="looked up at the venue when its lease has ended",
            )

    async def _find_out(self, claim: Claim, *, claimed_at: float) -> AttemptResult:
        if claim.order.facts.cancel.is_open and claim.maybe_sent_at is None:
            return canceled_before_sending(claim)
        held_for = self.breaker.held_for(claimed_at=claimed_at)
        if held_for > AT_ONCE:
            return held_back(claim, error=self.breaker.reason, next_in=held_for)
        if claim.attempt > 1:
            known = await self._look_up(claim)
            if known is not None:
                return known
        return (
            self._not_to_be_sent(claim, claimed_at=claimed_at)
            or await self._halted(claim, claimed_at=claimed_at)
            or await self._send(claim)
        )

    def _not_to_be_sent(self, claim: Claim, *, claimed_at: float) -> AttemptResult | None:
        """Why an order that the venue does not have is not sent now; None when it is."""
        if claim.order.facts.cancel.is_open:
            return canceled_before_sending(claim)
        if self.judge.is_too_old(claim):
            return self.judge.too_old(claim)
        if claim.attempts > self.judge.policy.max_attempts:
            return self.judge.used_up(claim, error="every attempt was used up")
        if self._now() - claimed_at > self.judge.policy.lease.total_seconds() / 2:
            return TOO_LATE
        return None

    async def _halted(self, claim: Claim, *, claimed_at: float) -> AttemptResult | None:
        """Why nothing is sent while trading is halted for the account; None when it is not.

        The claim has looked. One that waited, for a slot or for a look-up's answer, looks again: what was claimed just
        before a halt and is sent seconds later is what a halt must stop.
        """
        try:
            if not claim.is_halted and not await self.halts.is_halted(claim.order.account_id, seen_at=claimed_at):
                return None
        except TransientError as error:
            return self.judge.halt_unknown(claim, str(error))
        return self.judge.halted(claim)

    async def _send(self, claim: Claim) -> AttemptResult:
        outcome = await self.venue.place(claim.order.id, claim.order.terms)
        if isinstance(outcome, AlreadyPlaced):
            return await self._adopt(claim)
        return self.judge.of_answer(claim, outcome)

    async def _adopt(self, claim: Claim) -> AttemptResult:
        """The venue says that it has the order: until a look-up shows it, that is all that is known."""
        try:
            found = await self.venue.find(claim.order.id)
        except VenueUnreachableError as error:
            return self.judge.not_asked(claim, str(error))
        if found is None:
            return self.judge.not_shown(claim)
        return self.judge.adopted(claim, found)

    async def _look_up(self, claim: Claim) -> AttemptResult | None:
        """Ask the venue whether it has the order. None means: it has not, for certain, and it may be sent."""
        try:
            found = await self.venue.find(claim.order.id)
        except VenueBusyError as error:
            return rate_limited(error.retry_after, reports=doubts(claim))
        except VenueUnauthorizedError as error:
            return self.judge.unauthorized(str(error), reports=doubts(claim))
        except VenueUnreachableError as error:
            return self.judge.not_looked_up(claim, str(error))
        if found is not None:
            return self.judge.adopted(claim, found)
        return self.judge.settling(claim)
