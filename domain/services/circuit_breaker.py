"""The circuit breaker of a venue, shared by all workers: it blocks claims while the venue is down or requests a pause.

Consecutive attempts that fail for reasons other than the order open the circuit: no order is claimed for a while, then
one at a time, and the first usable answer closes it. Its state is in the database and the claims check it, so every
worker obeys it, and a waiting order uses no attempt. See docs/decisions/0006.
"""

import asyncio
import math
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from domain.model.errors import TransientError
from domain.ports.breaker_store import BreakerStore
from domain.ports.order_store import Claim
from domain.ports.telemetry import Metric, Telemetry

NO_WAIT = timedelta(0)


class VenueSign(Enum):
    """What an attempt shows about the venue itself, independent of the order."""

    WORKS = "works"
    FAILS = "fails"
    BUSY = "busy"
    NOTHING = "nothing"


class Circuit(Enum):
    """The state of the circuit, with the value of its gauge."""

    CLOSED = 0
    PROBING = 1
    OPEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """`failures` in a row, over all orders and workers, open the circuit; then one order is tried each `open_for`."""

    failures: int
    open_for: timedelta


class CircuitBreaker:
    """The circuit breaker as seen by this process: it stores the results of attempts, and logs changes of the
    circuit.
    """

    def __init__(self, store: BreakerStore, *, policy: BreakerPolicy, telemetry: Telemetry) -> None:
        self._store = store
        self._policy = policy
        self._telemetry = telemetry
        self._has_failed = False
        self._blocked_at = self._blocked_until = -math.inf
        self.reason = ""

    def held_for(self, *, claimed_at: float) -> timedelta:
        """Return how long an order that was claimed then (time of the event loop) must wait, as far as is known here.

        A claim that is younger than the last update has passed the breaker in the database.
        """
        if claimed_at > self._blocked_at:
            return NO_WAIT
        return timedelta(seconds=max(self._blocked_until - asyncio.get_running_loop().time(), 0.0))

    async def update(self, sign: VenueSign, claim: Claim, *, error: str | None, wait: timedelta | None) -> None:
        """Store what an attempt showed about the venue; `wait` is the pause that a busy venue requests."""
        try:
            match sign:
                case VenueSign.WORKS:
                    await self._worked(claim)
                case VenueSign.FAILS:
                    await self._failed(claim, error or "")
                case VenueSign.BUSY:
                    await self._pause(error or "", wait or NO_WAIT)
                case VenueSign.NOTHING if claim.is_probe:
                    await self._store.allow_next_probe()
                case VenueSign.NOTHING:
                    pass
        except TransientError as failure:
            # The order matters more: its result is still recorded.
            self._telemetry.warning("breaker_not_updated", sign=sign.value, error=str(failure), next="the next attempt")

    async def measure(self) -> None:
        """Set the gauge of the circuit."""
        state = await self._store.state()
        circuit = Circuit.CLOSED
        if state.is_open:
            circuit = Circuit.OPEN if state.held_for > NO_WAIT else Circuit.PROBING
        self._telemetry.set(Metric.VENUE_CIRCUIT, circuit.value)

    async def _worked(self, claim: Claim) -> None:
        # Write only after a failure, of this worker or another: a working venue costs no statement.
        if not (self._has_failed or claim.venue_failures):
            return
        update = await self._store.record_success()
        self._has_failed = False
        self._blocked_at = self._blocked_until = -math.inf
        if update.is_new:
            self._telemetry.info("venue_circuit_closed", next="all workers place orders again")

    async def _failed(self, claim: Claim, error: str) -> None:
        if not claim.is_probe and self._is_blocked():
            return
        update = await self._store.record_failure(
            error=error, threshold=self._policy.failures, open_for=self._policy.open_for
        )
        self._has_failed = True
        self._block_claims(update.held_for, f"The circuit to the venue is open: {error}")
        if update.is_new:
            self._telemetry.count(Metric.VENUE_CIRCUIT_OPENED)
            self._telemetry.error(
                "venue_circuit_opened",
                failures=self._policy.failures,
                error=error,
                delay_seconds=round(update.held_for.total_seconds(), 3),
                next="orders wait without using attempts; one at a time is tried, and a success closes the circuit",
            )

    async def _pause(self, error: str, wait: timedelta) -> None:
        update = await self._store.pause(wait=wait, error=error)
        self._block_claims(update.held_for, error)
        if update.is_new:
            self._telemetry.count(Metric.VENUE_PAUSES)
            self._telemetry.warning(
                "venue_paused",
                delay_seconds=round(update.held_for.total_seconds(), 3),
                next="no worker claims an order until then",
            )

    def _is_blocked(self) -> bool:
        return self._blocked_until > asyncio.get_running_loop().time()

    def _block_claims(self, held_for: timedelta, reason: str) -> None:
        if held_for > NO_WAIT:
            self._blocked_at = asyncio.get_running_loop().time()
            self._blocked_until = self._blocked_at + held_for.total_seconds()
            self.reason = reason
