"""The gate in front of a venue, one for all workers: shut while the venue asks for a pause, or does not work.

A run of attempts that fail through no order's fault opens the circuit: nothing is claimed for a while, then one order
at a time, and the first usable answer closes it. The database keeps the gate and the claims look at it, so every worker
obeys, and an order that waits behind it spends nothing. See docs/decisions/0006.
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

AT_ONCE = timedelta(0)


class VenueSign(Enum):
    """What an attempt shows about the venue itself, whatever became of the order."""

    WORKS = "works"
    FAILS = "fails"
    BUSY = "busy"
    NOTHING = "nothing"


class Circuit(Enum):
    """How the gate stands, with the value of its gauge."""

    CLOSED = 0
    PROBING = 1
    OPEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """`failures` in a row, over all orders and workers, open the circuit; then one order is tried each `open_for`."""

    failures: int
    open_for: timedelta


class CircuitBreaker:
    """Tells the gate what the attempts of this process show of the venue, and people when it opens or closes."""

    def __init__(self, gate: BreakerStore, *, policy: BreakerPolicy, telemetry: Telemetry) -> None:
        self._gate = gate
        self._policy = policy
        self._telemetry = telemetry
        self._has_failed = False
        self._shut_at = self._shut_until = -math.inf
        self.reason = ""

    def held_for(self, *, claimed_at: float) -> timedelta:
        """How long an order that was claimed then (by the loop's clock) must wait, as far as this process knows.

        A claim that is younger than the news was let through by the gate itself.
        """
        if claimed_at > self._shut_at:
            return AT_ONCE
        return timedelta(seconds=max(self._shut_until - asyncio.get_running_loop().time(), 0.0))

    async def note(self, sign: VenueSign, claim: Claim, *, error: str | None, wait: timedelta | None) -> None:
        """Tell the gate what an attempt showed; `wait` is what a busy venue asks for."""
        try:
            match sign:
                case VenueSign.WORKS:
                    await self._worked(claim)
                case VenueSign.FAILS:
                    await self._failed(claim, error or "")
                case VenueSign.BUSY:
                    await self._pause(error or "", wait or AT_ONCE)
                case VenueSign.NOTHING if claim.is_probe:
                    await self._gate.allow_next_probe()
                case VenueSign.NOTHING:
                    pass
        except TransientError as failure:
            # The order matters more: what was found out about it is still written.
            self._telemetry.warning("breaker_not_updated", sign=sign.value, error=str(failure), next="the next attempt")

    async def measure(self) -> None:
        """Show how the gate stands."""
        state = await self._gate.state()
        circuit = Circuit.CLOSED
        if state.is_open:
            circuit = Circuit.OPEN if state.held_for > AT_ONCE else Circuit.PROBING
        self._telemetry.set(Metric.VENUE_CIRCUIT, circuit.value)

    async def _worked(self, claim: Claim) -> None:
        # A venue that works costs nothing: there is something to write only after a failure, ours or another worker's.
        if not (self._has_failed or claim.venue_failures):
            return
        news = await self._gate.worked()
        self._has_failed = False
        self._shut_at = self._shut_until = -math.inf
        if news.is_new:
            self._telemetry.info("venue_circuit_closed", next="all workers place orders again")

    async def _failed(self, claim: Claim, error: str) -> None:
        if not claim.is_probe and self._is_shut():
            return
        news = await self._gate.failed(error=error, trips_at=self._policy.failures, open_for=self._policy.open_for)
        self._has_failed = True
        self._learn(news.held_for, f"The circuit to the venue is open: {error}")
        if news.is_new:
            self._telemetry.count(Metric.VENUE_CIRCUIT_OPENED)
            self._telemetry.error(
                "venue_circuit_opened",
                failures=self._policy.failures,
                error=error,
                delay_seconds=round(news.held_for.total_seconds(), 3),
                next="orders wait without spending attempts; one at a time is tried, and success closes it by itself",
            )

    async def _pause(self, error: str, wait: timedelta) -> None:
        news = await self._gate.pause(wait=wait, error=error)
        self._learn(news.held_for, error)
        if news.is_new:
            self._telemetry.count(Metric.VENUE_PAUSES)
            self._telemetry.warning(
                "venue_paused",
                delay_seconds=round(news.held_for.total_seconds(), 3),
                next="no worker claims an order until then",
            )

    def _is_shut(self) -> bool:
        return self._shut_until > asyncio.get_running_loop().time()

    def _learn(self, held_for: timedelta, reason: str) -> None:
        if held_for > AT_ONCE:
            self._shut_at = asyncio.get_running_loop().time()
            self._shut_until = self._shut_at + held_for.total_seconds()
            self.reason = reason
