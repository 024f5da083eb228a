"""Wires the services of the domain: in a process over what it has opened, in the tests over adapters in memory."""

import asyncio
from datetime import timedelta

from domain.model.accounts import AccountRule
from domain.ports.due_times import DueBounds, DueTimes
from domain.ports.ingest_state import Fence
from domain.services.account_check import AccountCheck
from domain.services.attempt_policy import AttemptPolicy, SubmissionPolicy
from domain.services.attempt_recorder import AttemptRecorder
from domain.services.cancel_delivery import CancelDelivery, CancelPolicy
from domain.services.cancellation import Cancellation
from domain.services.circuit_breaker import BreakerPolicy, CircuitBreaker
from domain.services.claim_budget import ClaimBudget
from domain.services.halt_cache import HaltCache
from domain.services.order_cache import OrderCache
from domain.services.placement import Placement
from domain.services.reconciliation import Reconciliation
from domain.services.recording import Recording
from domain.services.resolution import ResolutionDesk
from domain.services.resolving import Resolving
from domain.services.sealing import Sealing
from domain.services.submission import Submission
from domain.services.token_revocation import TokenRevocation
from domain.services.trading_control import TradingControl
from jobs.due_time_repair import DueTimeRepair
from runtime.adapters import LimitedVenue, Signals, Stores, WiredProcess
from runtime.settings import Settings

CANCEL_WAIT_MAX = timedelta(minutes=10)
"""Longer than any pause between two deliveries of a cancel request."""
SEAL_LEASE_ROUNDS = 5
"""A worker that has not sealed for as many rounds as this is replaced by another one."""


def make_recording(
    process: WiredProcess,
    stores: Stores,
    signals: Signals,
    *,
    fence: Fence | None = None,
    cache: OrderCache | None = None,
) -> Recording:
    """Return the service that records reports.

    Ingest's carries the fence of its leadership, and has a cache: it writes the same orders repeatedly, and is nearly
    their only writer.
    """
    return Recording(
        orders=stores.orders,
        publisher=signals.publisher,
        wake_ups=signals.wake_ups,
        telemetry=process.telemetry,
        clock=process.clock,
        new_id=process.new_id,
        fence=fence,
        prices=stores.tape,
        cache=cache or OrderCache(orders_max=0),
    )


def make_placement(process: WiredProcess, stores: Stores, signals: Signals) -> Placement:
    """Return the service that stores orders."""
    return Placement(
        orders=stores.orders,
        reader=stores.reader,
        catalog=stores.catalog,
        limit_book=stores.limit_book,
        accounts=make_account_check(process, stores),
        prices=stores.prices,
        installation=stores.installation,
        publisher=signals.publisher,
        wake_ups=signals.wake_ups,
        telemetry=process.telemetry,
        clock=process.clock,
        new_id=process.new_id,
    )


def make_cancellation(stores: Stores, signals: Signals, recording: Recording) -> Cancellation:
    """Return the service that stores cancel requests."""
    return Cancellation(orders=stores.orders, reader=stores.reader, recording=recording, wake_ups=signals.wake_ups)


def make_trading_control(process: WiredProcess, stores: Stores) -> TradingControl:
    """Return the operators' service for limits and halts."""
    return TradingControl(
        halts=stores.halts,
        book=stores.limit_book,
        prices=stores.prices,
        accounts=make_account_check(process, stores),
        telemetry=process.telemetry,
        clock=process.clock,
        new_id=process.new_id,
    )


def make_sealing(process: WiredProcess, stores: Stores) -> Sealing:
    """Return the service that seals the changes of accounts."""
    every = process.settings.audit_seal_every_seconds
    return Sealing(
        seals=stores.seals,
        telemetry=process.telemetry,
        holder=process.new_id(),
        lease=timedelta(seconds=SEAL_LEASE_ROUNDS * every),
        changes_max=process.settings.audit_seal_max_changes,
    )


def make_token_revocation(process: WiredProcess, stores: Stores) -> TokenRevocation:
    """Return the operators' service that revokes tokens."""
    return TokenRevocation(
        store=stores.revocations,
        telemetry=process.telemetry,
        clock=process.clock,
        new_id=process.new_id,
        lifetime_max=timedelta(seconds=process.settings.token_max_lifetime_seconds),
    )


def make_resolution_desk(process: WiredProcess, stores: Stores) -> ResolutionDesk:
    """Return the operators' service that asks for orders to be resolved."""
    return ResolutionDesk(requests=stores.resolutions, clock=process.clock, new_id=process.new_id)


def make_resolving(
    process: WiredProcess, stores: Stores, venue: LimitedVenue, reconciliation: Reconciliation
) -> Resolving:
    """Return the worker's service that resolves orders, with what reconciliation records by."""
    return Resolving(
        requests=stores.resolutions,
        venue=venue,
        recording=reconciliation.recording,
        fills=reconciliation.fills,
        telemetry=process.telemetry,
    )


def make_account_check(process: WiredProcess, stores: Stores) -> AccountCheck:
    """Return the check of the ids under which something may begin."""
    return AccountCheck(rule=AccountRule(pattern=process.settings.account_pattern), reader=stores.accounts)


def make_submission(
    process: WiredProcess, stores: Stores, signals: Signals, venue: LimitedVenue, recording: Recording
) -> Submission:
    """Return the service that submits orders to the venue."""
    policy = _submission_policy(process.settings)
    return Submission(
        orders=stores.orders,
        venue=venue,
        breaker=make_circuit_breaker(process, stores),
        telemetry=process.telemetry,
        attempt_policy=AttemptPolicy(policy=policy, telemetry=process.telemetry, random=process.random),
        record_attempt=make_attempt_recorder(process, signals, recording).record,
        slots=asyncio.Semaphore(process.settings.placement_slots),
        claim_budget=ClaimBudget(orders_max=process.settings.placement_slots),
        halt_cache=HaltCache(stores.halts),
        limiter=venue.limiter,
    )


def make_attempt_recorder(process: WiredProcess, signals: Signals, recording: Recording) -> AttemptRecorder:
    """Return what records finished attempts, many at once."""
    return AttemptRecorder(
        recording=recording,
        wake_ups=signals.wake_ups,
        telemetry=process.telemetry,
        max_attempts=process.settings.placement_max_attempts,
    )


def _submission_policy(settings: Settings) -> SubmissionPolicy:
    max_age = settings.placement_max_age_seconds
    return SubmissionPolicy(
        max_attempts=settings.placement_max_attempts,
        backoff=timedelta(seconds=settings.placement_backoff_seconds),
        backoff_max=timedelta(seconds=settings.placement_backoff_max_seconds),
        settle=timedelta(seconds=settings.placement_settle_seconds),
        lease=settings.placement_lease,
        max_age=None if max_age is None else timedelta(seconds=max_age),
    )


def make_circuit_breaker(process: WiredProcess, stores: Stores) -> CircuitBreaker:
    """Return the circuit breaker of the venue, whose state all processes share."""
    settings = process.settings
    return CircuitBreaker(
        stores.breaker,
        policy=BreakerPolicy(
            failures=settings.placement_circuit_failures,
            open_for=timedelta(seconds=settings.placement_circuit_open_seconds),
        ),
        telemetry=process.telemetry,
    )


def make_due_time_repair(process: WiredProcess, due_times: DueTimes) -> DueTimeRepair:
    """Return the worker's loop that repairs due times after the database's clock was put back."""
    settings, lease = process.settings, process.settings.placement_lease
    open_for = timedelta(seconds=settings.placement_circuit_open_seconds)
    return DueTimeRepair(
        due_times=due_times,
        telemetry=process.telemetry,
        interval=timedelta(seconds=settings.reconcile_every_seconds),
        # A probe is claimed for half a lease.
        bounds=DueBounds(lease=lease, cancel=lease + CANCEL_WAIT_MAX, probe=max(open_for, lease / 2)),
    )


def make_cancel_delivery(
    process: WiredProcess, stores: Stores, signals: Signals, venue: LimitedVenue, recording: Recording
) -> CancelDelivery:
    """Return the service that delivers cancel requests to the venue."""
    settings = process.settings
    return CancelDelivery(
        orders=stores.orders,
        venue=venue,
        recording=recording,
        wake_ups=signals.wake_ups,
        telemetry=process.telemetry,
        policy=CancelPolicy(
            retry=timedelta(seconds=settings.cancel_retry_seconds),
            confirm_within=timedelta(seconds=settings.cancel_confirm_seconds),
            pause_max=timedelta(seconds=settings.cancel_pause_max_seconds),
            lease=settings.placement_lease,
        ),
        slots=asyncio.Semaphore(settings.placement_slots),
    )
