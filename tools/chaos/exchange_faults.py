"""The faults of the exchange: its own, the answers of a gateway in front of it, its restart.

The exchange loses its settings in a restart, so all of them are set again then.
"""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchange.simulator.scripted_answers import SCRIPTS_MAX
from tools.chaos.arena import Arena
from tools.chaos.gateway import Script
from tools.chaos.request_trail import RequestTrail

READY_TIMEOUT_SECONDS = 45.0
"""It reads its journal first."""
RESTART_POLL_SECONDS = 0.05
AMBIGUOUS_DELAY_MS = 2_500

_HABITS: Mapping[str, float] = {
    "bust_rate": 0.004,
    "correct_rate": 0.004,
    "amend_again_rate": 0.5,
    "omit_rate": 0.02,
    "restate_rate": 0.01,
    "rename_rate": 0.05,
    "forget_rate": 0.01,
    "fill_before_cancel_rate": 0.2,
    "within_ms": 2_000,
}
"""What the exchange does to orders by itself, as shares; `within_ms` is how long after the occasion."""

USUAL_FAULTS: Mapping[str, Any] = {
    "latency_ms": 5,
    "refuse_rate": 0.01,
    "error_rate": 0,
    "ambiguous_rate": 0.002,
    "ambiguous_delay_ms": AMBIGUOUS_DELAY_MS,
    "reject_rate": 0.01,
    "hide_seconds": 0,
    "down": False,
    "stream": {
        "drop_rate": 0,
        "duplicate_rate": 0,
        "reorder_rate": 0,
        "delay_ms": 0,
        "mute": False,
        "no_timestamp_rate": 0.02,
    },
    "habits": _HABITS,
}
"""What the exchange does all the time during the storm."""
NO_HABITS: Mapping[str, Any] = dict.fromkeys(_HABITS, 0)
NO_FAULTS: Mapping[str, Any] = {
    **USUAL_FAULTS,
    "refuse_rate": 0,
    "ambiguous_rate": 0,
    "reject_rate": 0,
    "stream": {name: False if name == "mute" else 0 for name in USUAL_FAULTS["stream"]},
    "habits": NO_HABITS,
}
MATCHING: Mapping[str, Any] = {"mode": "auto", "fill_delay_ms": 150, "fills_per_order": 2, "cancel_delay_ms": 0}


def usual_faults(*, habits: float, has_id_check: bool) -> Mapping[str, Any]:
    """Return the usual faults with the rates of the exchange's own actions multiplied.

    Where the exchange does not check ids it forgets no orders: an order that is absent in look-ups is sent again.
    """
    rates = {name: rate if name == "within_ms" else min(rate * habits, 1) for name, rate in _HABITS.items()}
    return {**USUAL_FAULTS, "habits": rates if has_id_check else rates | {"forget_rate": 0}}


def merged_faults(usual: Mapping[str, Any], active: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the usual faults with those that are active on top, the stream's settings one by one."""
    stream = dict(usual["stream"])
    merged = dict(usual)
    for changes in active:
        stream |= changes.get("stream", {})
        merged |= changes
    return merged | {"stream": stream}


@dataclass(slots=True, kw_only=True)
class ExchangeFaults:
    """What is wrong with the exchange. `trail` reads its log of requests to the end before it is restarted."""

    arena: Arena
    trail: RequestTrail
    seed: int
    usual: Mapping[str, Any] = field(default_factory=lambda: USUAL_FAULTS)
    _active: list[Mapping[str, Any]] = field(default_factory=list)
    _scripts: list[Sequence[Script]] = field(default_factory=list)
    _late: list[float] = field(default_factory=list)
    _holds: int = 0
    _restart: asyncio.Task[None] | None = None
    _setting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def set_all(self) -> None:
        """Set everything, as at the start."""
        async with self._setting:
            await self._set_all()

    async def repair(self) -> None:
        """Remove every fault, after a restart in progress."""
        self._active.clear()
        self._scripts.clear()
        self._late.clear()
        self._holds = 0
        self.usual = NO_FAULTS
        if self._restart is not None:
            await self._restart
        await self.set_all()
        await self.arena.control("POST", "cancels", {})
        # What the stream did not bring is noticed after a connect.
        await self.arena.control("POST", "disconnect", {"hold_slot_seconds": 0})

    async def restart(self) -> None:
        """Restart the exchange; a caller that is cancelled lets it finish."""
        self._restart = asyncio.create_task(self._restart_now())
        await asyncio.shield(self._restart)

    async def misbehave(self, faults: Mapping[str, Any], seconds: float) -> None:
        """Set these faults for that long."""
        self._active.append(faults)
        await self._set_faults()
        await asyncio.sleep(seconds)
        self._active.remove(faults)
        await self._set_faults()

    async def answer_as_gateway(self, scripts: Sequence[Script], seconds: float) -> None:
        """Answer by these scripts in the exchange's place for that long, or until they are used up."""
        self._scripts.append(scripts)
        await self._set_answers()
        await asyncio.sleep(seconds)
        self._scripts.remove(scripts)
        await self._set_answers()

    async def list_late(self, seconds: float) -> None:
        """Delay the listing of fills by that number of seconds, for that long."""
        self._late.append(seconds)
        await self._set_listing()
        await asyncio.sleep(seconds)
        self._late.remove(seconds)
        await self._set_listing()

    async def leave_cancels(self, seconds: float) -> None:
        """Leave cancel requests pending for that long, then carry them out."""
        self._holds += 1
        await self._set_matching()
        await asyncio.sleep(seconds)
        self._holds -= 1
        await self._set_matching()
        if not self._holds:
            await self.arena.control("POST", "cancels", {})

    async def end_day(self, *, status: str) -> None:
        """End the trading day: open DAY orders end with this status."""
        await self.arena.control("POST", "session", {"end": True, "status": status})

    async def _restart_now(self) -> None:
        """Restart the exchange by SIGTERM; its log of requests is read to its end before.

        It is set to `down` first: requests after the log was read execute nothing and prove nothing.
        """
        async with self._setting:
            await self.arena.control("PUT", "faults", {"down": True})
            before = self.arena.process_id("exchange")
            await self.trail.read_on(self.arena, is_end=True)
            self.arena.send("exchange", signal.SIGTERM)
            try:
                async with asyncio.timeout(READY_TIMEOUT_SECONDS):
                    while not await self._is_ready_again(before):  # noqa: ASYNC110  # Another process cannot set our event.
                        await asyncio.sleep(RESTART_POLL_SECONDS)
            finally:
                await self._set_all()

    async def _is_ready_again(self, process_id_before: int | None) -> bool:
        return self.arena.process_id("exchange") != process_id_before and await self.arena.is_ready("exchange")

    async def _set_faults(self) -> None:
        async with self._setting:
            await self.arena.control("PUT", "faults", merged_faults(self.usual, self._active))

    async def _set_answers(self) -> None:
        async with self._setting:
            await self._put_answers()

    async def _set_listing(self) -> None:
        async with self._setting:
            await self._put_listing()

    async def _set_matching(self) -> None:
        async with self._setting:
            await self._put_matching()

    async def _set_all(self) -> None:
        await self.arena.control("PUT", "identity", {"check": self.arena.has_id_check})
        await self._put_matching()
        await self._put_listing()
        await self._put_answers()
        faults = merged_faults(self.usual, self._active)
        await self.arena.control("PUT", "faults", {**faults, "seed": self.seed + self.trail.life})

    async def _put_matching(self) -> None:
        cancels = "manual" if self._holds else "auto"
        await self.arena.control("PUT", "matching", {**MATCHING, "cancels": cancels})

    async def _put_listing(self) -> None:
        await self.arena.control("PUT", "listing", {"late_seconds": max(self._late, default=0)})

    async def _put_answers(self) -> None:
        # Of several gateway faults at the same time the newest answers first, until its scripts are used up. The
        # exchange accepts SCRIPTS_MAX scripts: four concurrent faults have more, and the oldest are left out.
        scripts = [script for each in reversed(self._scripts) for script in each]
        await self.arena.control("PUT", "answers", scripts[:SCRIPTS_MAX])
