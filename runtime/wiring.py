"""Wires the services of the domain with the resources of a process (see `runtime.resources`)."""

import asyncio
import random
from datetime import timedelta

from domain.model.accounts import AccountRule
from domain.ports.due_times import DueBounds
from domain.ports.ingest_state import Fence
from domain.services.account_check import AccountCheck
from domain.services.attempt_policy import AttemptPolicy, SubmissionPolicy
from domain.services.attempt_recorder import AttemptRecorder
from domain.services.batcher import Batcher
from domain.services.cancellation import CancelDelivery, CancelPolicy
from domain.services.catch_up import CatchUp
from domain.services.circuit_breaker import BreakerPolicy, CircuitBreaker
from domain.services.claim_budget import ClaimBudget
from domain.services.dead_letter_keeper import DeadLetterKeeper
from domain.services.fill_repair import FillRepair
from domain.services.halt_cache import HaltCache
from domain.services.look_up_schedule import LookUpPolicy
from domain.services.lost_orders import LostOrders
from domain.services.open_orders import OpenOrders
from domain.services.order_cache import OrderCache
from domain.services.order_owners import OrderOwners
from domain.services.reconciliation import Reconciliation, ReconciliationPolicy
from domain.services.recording import Recording
from domain.services.resolution import ResolutionDesk
from domain.services.resolving import Resolving
from domain.services.sealing import Sealing
from domain.services.submission import Submission
from domain.services.token_revocation import TokenRevocation
from domain.services.trading_control import TradingControl
from exchange.alpaca.rest import AlpacaVenue
from jobs.due_time_repair import DueTimeRepair
from runtime.processes.lifecycle import Process, SteadyClock, new_id, utc_now
from runtime.resources.database import DatabaseResources
from runtime.resources.redis import RedisResources
from runtime.settings import Settings

CANCEL_WAIT_MAX = timedelta(minutes=10)
"""Longer than any pause between two deliveries of a cancel request."""
RECORD_BATCH_MAX_ATTEMPTS = 100
RECORD_QUEUE_MAX_ATTEMPTS = 4_096
SEAL_LEASE_ROUNDS = 5
"""A worker that has not sealed for as many rounds as this is replaced by another one."""


def make_recording(
    process: Process,
    database: DatabaseResources,
    redis: RedisResources,
    *,
    fence: Fence | None = None,
    cached_orders_max: int = 0,
) -> Recording:
    """Return the service that records reports.

    Ingest's carries the fence of its leadership, and caches up to `cached_orders_max` orders: it writes the same ones
    repeatedly, and is nearly their only writer.
    """
    return Recording(
        orders=database.orders,
        publisher=redis.publisher,
        wake_ups=redis.wake_ups,
        telemetry=process.telemetry,
        clock=utc_now,
        new_id=new_id,
        fence=fence,
        prices=database.tape,
        cache=OrderCache(orders_max=cached_orders_max),
    )


def make_trading_control(process: Process, database: DatabaseResources) -> TradingControl:
    """Return the operators' service for limits and halts."""
    return TradingControl(
        halts=database.halts,
        book=database.limit_book,
        prices=database.prices,
        accounts=make_account_check(process, database),
        telemetry=process.telemetry,
        clock=utc_now,
        new_id=new_id,
    )


def make_sealing(process: Process, database: DatabaseResources) -> Sealing:
    """Return the service that seals the changes of accounts."""
    every = process.settings.audit_seal_every_seconds
    return Sealing(
        seals=database.seals,
        telemetry=process.telemetry,
        holder=new_id(),
        lease=timedelta(seconds=SEAL_LEASE_ROUNDS * every),
        changes_max=process.settings.audit_seal_max_changes,
    )


def make_token_revocation(process: Process, database: DatabaseResources) -> TokenRevocation:
    """Return the operators' service that revokes tokens."""
    return TokenRevocation(
        store=database.revocations,
        telemetry=process.telemetry,
        clock=utc_now,
        new_id=new_id,
        lifetime_max=timedelta(seconds=process.settings.token_max_lifetime_seconds),
    )


def make_resolution_desk(database: DatabaseResources) -> ResolutionDesk:
    """Return the operators' service that requests resolutions of orders."""
    return ResolutionDesk(requests=database.resolutions, clock=utc_now, new_id=new_id)


def make_resolving(
    process: Process, database: DatabaseResources, venue: AlpacaVenue, reconciliation: Reconciliation
) -> Resolving:
    """Return the worker's service that resolves orders, with what reconciliation records by."""
    return Resolving(
        requests=database.resolutions,
        venue=venue,
        recording=reconciliation.recording,
        fills=reconciliation.fills,
        telemetry=process.telemetry,
        overlap=timedelta(seconds=process.settings.catch_up_overlap_seconds),
    )


def make_account_check(process: Process, database: DatabaseResources) -> AccountCheck:
    """Return the check of the ids under which something may begin."""
    return AccountCheck(rule=AccountRule(pattern=process.settings.account_pattern), reader=database.accounts)


def make_submission(
    process: Process, database: DatabaseResources, redis: RedisResources, venue: AlpacaVenue, recording: Recording
) -> Submission:
    """Return the service that submits orders to the venue."""
    policy = _submission_policy(process.settings)
    attempt_recorder = AttemptRecorder(
        orders=database.orders,
        recording=recording,
        wake_ups=redis.wake_ups,
        telemetry=process.telemetry,
        max_attempts=policy.max_attempts,
    )
    batcher = Batcher(
        attempt_recorder.record, batch_max_items=RECORD_BATCH_MAX_ATTEMPTS, queue_max_items=RECORD_QUEUE_MAX_ATTEMPTS
    )
    return Submission(
        orders=database.orders,
        venue=venue,
        breaker=make_circuit_breaker(process, database),
        telemetry=process.telemetry,
        attempt_policy=AttemptPolicy(policy=policy, telemetry=process.telemetry, random=random.random),
        record_attempt=batcher.submit,
        slots=asyncio.Semaphore(process.settings.placement_slots),
        claim_budget=ClaimBudget(orders_max=process.settings.placement_slots),
        halt_cache=HaltCache(database.halts),
        limiter=venue.limiter,
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


def make_circuit_breaker(process: Process, database: DatabaseResources) -> CircuitBreaker:
    """Return the circuit breaker of the venue, whose state all processes share."""
    settings = process.settings
    return CircuitBreaker(
        database.breaker,
        policy=BreakerPolicy(
            failures=settings.placement_circuit_failures,
            open_for=timedelta(seconds=settings.placement_circuit_open_seconds),
        ),
        telemetry=process.telemetry,
    )


def make_due_time_repair(process: Process, database: DatabaseResources) -> DueTimeRepair:
    """Return the worker's loop that repairs due times after the database's clock was put back."""
    settings, lease = process.settings, process.settings.placement_lease
    open_for = timedelta(seconds=settings.placement_circuit_open_seconds)
    return DueTimeRepair(
        due_times=database.due_times,
        telemetry=process.telemetry,
        interval=timedelta(seconds=settings.reconcile_every_seconds),
        # A probe is claimed for half a lease.
        bounds=DueBounds(lease=lease, cancel=lease + CANCEL_WAIT_MAX, probe=max(open_for, lease / 2)),
    )


def make_cancel_delivery(
    process: Process, database: DatabaseResources, redis: RedisResources, venue: AlpacaVenue, recording: Recording
) -> CancelDelivery:
    """Return the service that delivers cancel requests to the venue."""
    settings = process.settings
    return CancelDelivery(
        orders=database.orders,
        venue=venue,
        recording=recording,
        wake_ups=redis.wake_ups,
        telemetry=process.telemetry,
        policy=CancelPolicy(
            retry=timedelta(seconds=settings.cancel_retry_seconds),
            confirm_within=timedelta(seconds=settings.cancel_confirm_seconds),
            pause_max=timedelta(seconds=settings.cancel_pause_max_seconds),
            lease=settings.placement_lease,
        ),
        slots=asyncio.Semaphore(settings.placement_slots),
    )


def make_reconciliation(
    process: Process, database: DatabaseResources, venue: AlpacaVenue, recording: Recording
) -> Reconciliation:
    """Return the service that finds what the stream missed."""
    settings, telemetry, orders = process.settings, process.telemetry, database.orders
    overlap, look_ups = timedelta(seconds=settings.catch_up_overlap_seconds), _look_up_policy(settings)
    # Pauses of look-ups must neither end nor grow when the wall clock is set.
    steady_clock = SteadyClock()
    owners = OrderOwners(venue=venue, orders=orders, telemetry=telemetry, clock=steady_clock, policy=look_ups)
    fills = CatchUp(
        venue=venue,
        orders=orders,
        recording=recording,
        owners=owners,
        dead_letters=DeadLetterKeeper(source="catch_up", dead_letters=database.dead_letters, telemetry=telemetry),
        telemetry=telemetry,
        clock=steady_clock,
        pending_max=timedelta(seconds=settings.unresolved_wait_seconds),
    )
    repair = FillRepair(
        venue=venue,
        orders=orders,
        recording=recording,
        fills=fills,
        telemetry=telemetry,
        clock=steady_clock,
        overlap=overlap,
        policy=LookUpPolicy(
            per_run_max=settings.reconcile_look_ups_max,
            run_within=timedelta(seconds=settings.reconcile_look_ups_seconds),
            first_pause=timedelta(seconds=settings.catch_up_pause_seconds),
            pause_max=timedelta(seconds=settings.reconcile_look_up_pause_max_seconds),
        ),
        alert_after=timedelta(seconds=settings.fills_missing_alert_seconds),
    )
    open_orders = OpenOrders(
        venue=venue,
        orders=orders,
        recording=recording,
        fills=fills,
        telemetry=telemetry,
        clock=steady_clock,
        overlap=overlap,
        pages_max=settings.reconcile_pages_max,
        look_ups=look_ups,
        lost=LostOrders(
            telemetry=telemetry, clock=steady_clock, lost_after=timedelta(seconds=settings.reconcile_lost_seconds)
        ),
    )
    return Reconciliation(
        venue=venue,
        orders=orders,
        positions=database.positions,
        recording=recording,
        fills=fills,
        open_orders=open_orders,
        repair=repair,
        telemetry=telemetry,
        clock=venue.venue_clock,
        policy=ReconciliationPolicy(
            overlap=overlap,
            first_look_back=timedelta(seconds=settings.catch_up_first_seconds),
            closed_look_back=timedelta(seconds=settings.catch_up_closed_seconds),
        ),
    )


def _look_up_policy(settings: Settings) -> LookUpPolicy:
    return LookUpPolicy(
        per_run_max=settings.reconcile_look_ups_max,
        run_within=timedelta(seconds=settings.reconcile_look_ups_seconds),
        first_pause=timedelta(seconds=settings.reconcile_look_up_pause_seconds),
        pause_max=timedelta(seconds=settings.reconcile_look_up_pause_max_seconds),
    )
