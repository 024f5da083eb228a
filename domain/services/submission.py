"""Submission of stored orders to the venue: claim, look up, send once, record the attempt's result.

An order is sent only under a claim that was committed before. Its venue client order id was chosen when it was stored
and never changes. Every attempt except the first looks up the order first. The result is recorded under the attempt's
number: an older attempt that resumes late writes nothing. An unknown outcome stays unknown until a look-up or report
settles it. While trading is halted nothing is sent; an order that an earlier attempt may have sent is still looked up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from domain.model.errors import (
    RequestHeldBackError,
    TransientError,
    VenueBusyError,
    VenueUnauthorizedError,
    VenueUnreachableError,
)
from domain.model.rate_budget import RequestPriority
from domain.ports.order_store import Claim, OrderStore
from domain.ports.rate_limiter import RateLimiter, Unlimited
from domain.ports.telemetry import Metric, Telemetry
from domain.ports.venue import Venue
from domain.ports.venue_outcomes import AlreadyPlaced
from domain.services.attempt_policy import AttemptPolicy
from domain.services.attempt_result import (
    TOO_LATE,
    AttemptResult,
    canceled_before_sending,
    doubts,
    held_back,
    rate_limited,
    refused,
)
from domain.services.circuit_breaker import CircuitBreaker
from domain.services.claim_age import OTHER_CLOCKS, ClaimAge
from domain.services.claim_budget import BudgetExhaustedError, ClaimBudget, Reservation
from domain.services.halt_cache import HaltCache

NO_WAIT = timedelta(0)
BUDGET_WAITS_PER_LEASE = 4
"""A job waits for the claim budget for a quarter of a lease at most; then the sweeper finds its orders. A job that
waited longer would be cut off by its time-out while it sends."""

SENDING_SHARE_OF_LEASE = 0.5
"""Nothing is sent in the rest of a lease, so that the lease covers the answer as well."""
TRUSTED_SHARE_OF_LEASE = 0.25
"""So long a claim counts as valid without asking the database."""


class ClaimOrders(Protocol):
    """One of the order store's methods that claim, with all arguments but the lease."""

    async def __call__(self, *, lease: timedelta) -> Sequence[Claim]:
        """Claim the orders."""


def longest_job(lease: timedelta) -> timedelta:
    """Return the longest duration of `submit`: the wait for the claim budget, and the lease, which ends its
    attempts.
    """
    return lease / BUDGET_WAITS_PER_LEASE + lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The use case of submitting orders. `slots` bounds the concurrent attempts of this process, `claim_budget` the
    orders claimed for slots that are not free yet. `record_attempt` records the result of a claim's attempt (see
    domain.services.attempt_recorder)."""

    orders: OrderStore
    venue: Venue
    breaker: CircuitBreaker
    telemetry: Telemetry
    attempt_policy: AttemptPolicy
    record_attempt: Callable[[Claim, AttemptResult], Awaitable[None]]
    slots: asyncio.Semaphore
    claim_budget: ClaimBudget
    halt_cache: HaltCache
    limiter: RateLimiter = field(default_factory=Unlimited)
    clocks: Sequence[Callable[[], float]] = OTHER_CLOCKS

    async def submit(self, order_ids: Collection[UUID]) -> int:
        """Make one attempt for each order that is due; return how many were, 0 when the claim budget was exhausted or
        the rate limit recently left no request for submissions.

        Raises UnavailableError when the database does not answer.
        """
        return await self._attempt_claimed(len(order_ids), partial(self.orders.claim, order_ids))

    async def sweep(self, *, limit: int, overdue_by: timedelta) -> int:
        """Make one attempt for each of the most overdue orders, whether or not a wake-up came; return how many."""
        return await self._attempt_claimed(limit, partial(self.orders.claim_due, limit=limit, overdue_by=overdue_by))

    async def _attempt_claimed(self, orders_max: int, claim: ClaimOrders) -> int:
        """Claim within the budget and make the attempts; return how many."""
        lease = self.attempt_policy.policy.lease
        if self._is_held_back():
            return 0
        try:
            async with self.claim_budget.reserve(orders_max, within=lease / BUDGET_WAITS_PER_LEASE) as reservation:
                age = ClaimAge(clocks=self.clocks)
                claims = await claim(lease=lease)
                await self._attempt_all(claims, reservation, age)
                return len(claims)
        except BudgetExhaustedError:
            return 0

    def _is_held_back(self) -> bool:
        """Return whether the rate limit leaves no request for submissions: a claim would cost two statements in
        vain. The sweeper finds the orders afterwards.
        """
        return self.limiter.held_for(RequestPriority.SUBMIT) > NO_WAIT

    async def _attempt_all(self, claims: Sequence[Claim], reservation: Reservation, age: ClaimAge) -> None:
        reservation.reduce_to(len(claims))
        async with asyncio.TaskGroup() as tasks:
            for claim in claims:
                tasks.create_task(self._attempt(claim, reservation, age))

    async def _attempt(self, claim: Claim, reservation: Reservation, age: ClaimAge) -> None:
        try:
            async with self.slots:
                reservation.release_one()
                result = await self._make_attempt(claim, age)
                self.telemetry.count(Metric.SUBMISSION_ATTEMPTS, outcome=result.outcome)
                # The breaker first: it must block claims before the order is due again.
                await self.breaker.update(result.sign, claim, error=result.error, wait=result.next_in)
            # Outside the slot: the next order is sent while this result is written.
            await self.record_attempt(claim, result)
        except Exception as error:  # noqa: BLE001 - whatever happens to one order must not cancel the others' sends
            log = self.telemetry.warning if isinstance(error, TransientError) else self.telemetry.error
            log(
                "attempt_not_recorded",
                order_id=str(claim.order.id),
                attempt=claim.loaded.attempts,
                error=repr(error),
                next="looked up at the venue when its lease has expired",
            )

    async def _make_attempt(self, claim: Claim, age: ClaimAge) -> AttemptResult:
        if claim.order.facts.cancel.is_open and claim.loaded.maybe_sent_at is None:
            return canceled_before_sending(claim)
        held_for = self.breaker.held_for(claimed_at=age.claimed_at)
        if held_for > NO_WAIT:
            return held_back(claim, error=self.breaker.reason, next_in=held_for)
        if claim.loaded.attempt > 1:
            known = await self._look_up(claim)
            if known is not None:
                return known
        return (
            self._reason_not_to_send(claim)
            or await self._result_if_held_back(claim)
            or await self._result_if_halted(claim, age)
            or await self._result_if_too_late(claim, age)
            or await self._send(claim)
        )

    def _reason_not_to_send(self, claim: Claim) -> AttemptResult | None:
        """Return the result of an attempt that must not send the order; None when it may.

        The venue does not have it: no attempt has sent it, or a look-up after the settle time has not found it.
        """
        refusal = claim.order.facts.refusal
        if refusal is not None:
            return replace(refused(claim, refusal), counts=False)
        if claim.order.facts.cancel.is_open:
            return canceled_before_sending(claim)
        if self.attempt_policy.is_too_old(claim):
            return self.attempt_policy.too_old(claim)
        if claim.loaded.attempts > self.attempt_policy.policy.max_attempts:
            return self.attempt_policy.used_up(claim, error="every attempt was used up")
        return None

    async def _result_if_held_back(self, claim: Claim) -> AttemptResult | None:
        """Wait until the rate limit allows the submission and return None, or the result when that would take too
        long."""
        try:
            await self.limiter.acquire(RequestPriority.SUBMIT)
        except RequestHeldBackError as error:
            return self.attempt_policy.held_back_by_limit(claim, str(error), retry_after=error.retry_after)
        return None

    async def _result_if_halted(self, claim: Claim, age: ClaimAge) -> AttemptResult | None:
        """Return the result of an attempt while trading is halted for the account; None when it is not.

        The claim has checked the halts. An attempt that waited, for a slot, a look-up or the rate limit, checks again:
        a halt must stop an order that was claimed just before it and would be sent seconds later.
        """
        try:
            if not claim.is_halted and not await self.halt_cache.is_halted(
                claim.order.account_id, seen_at=age.claimed_at
            ):
                return None
        except TransientError as error:
            unknown = f"it is unknown whether trading is halted: {error}"
            return self.attempt_policy.not_checked(claim, outcome="halt_unknown", error=unknown)
        return self.attempt_policy.halted(claim)

    async def _result_if_too_late(self, claim: Claim, age: ClaimAge) -> AttemptResult | None:
        """Return the result of an attempt whose lease is about to end; None when it may send the order immediately.

        A claim that is old by any clock of this host is checked by the database's: the host may have been suspended,
        and another worker may have claimed and sent the order since.
        """
        lease = self.attempt_policy.policy.lease
        if age.seconds() > lease.total_seconds() * SENDING_SHARE_OF_LEASE:
            return TOO_LATE
        if not age.may_exceed(lease * TRUSTED_SHARE_OF_LEASE):
            return None
        try:
            is_held = await self.orders.holds_claim(claim, within=lease * SENDING_SHARE_OF_LEASE)
        except TransientError as error:
            unknown = f"it is unknown whether the claim is still valid: {error}"
            return self.attempt_policy.not_checked(claim, outcome="claim_unknown", error=unknown)
        return None if is_held else TOO_LATE

    async def _send(self, claim: Claim) -> AttemptResult:
        outcome = await self.venue.submit(claim.order.venue_client_order_id, claim.order.terms)
        if isinstance(outcome, AlreadyPlaced):
            return await self._adopt(claim)
        return self.attempt_policy.result_of(claim, outcome)

    async def _adopt(self, claim: Claim) -> AttemptResult:
        """Look up an order that the venue reports to have; until a look-up finds it, nothing else is known of it."""
        try:
            found = await self.venue.find(claim.order.venue_client_order_id)
        except VenueUnreachableError as error:
            return self.attempt_policy.not_asked(claim, error)
        if found is None:
            return self.attempt_policy.not_shown(claim)
        return self.attempt_policy.adopted(claim, found)

    async def _look_up(self, claim: Claim) -> AttemptResult | None:
        """Look up the order at the venue. None means that the venue does not have it, and that it may be sent."""
        try:
            found = await self.venue.find(claim.order.venue_client_order_id)
        except RequestHeldBackError as error:
            return self.attempt_policy.held_back_by_limit(claim, str(error), retry_after=error.retry_after)
        except VenueBusyError as error:
            return rate_limited(error.retry_after, reports=doubts(claim))
        except VenueUnauthorizedError as error:
            return self.attempt_policy.unauthorized(str(error), reports=doubts(claim))
        except VenueUnreachableError as error:
            return self.attempt_policy.not_looked_up(claim, error)
        if found is not None:
            return self.attempt_policy.adopted(claim, found)
        return self.attempt_policy.settling(claim)
