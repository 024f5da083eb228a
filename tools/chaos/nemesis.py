"""Carries out the schedule: harms processes and servers, sets the exchange's faults; repairs everything at the end."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tools.chaos.arena import Arena
from tools.chaos.evidence import Pause
from tools.chaos.exchange_faults import ExchangeFaults
from tools.chaos.gateway import GATEWAY_KINDS, make_scripts
from tools.chaos.halts import Halts
from tools.chaos.history import History
from tools.chaos.ledger import OUTAGES, end_sessions
from tools.chaos.schedule import PROCESSES, Injection, Kind
from tools.chaos.skewed_process import OFFSET_SETTING

CRASH_SETTING = "CRASH_AT"
CRASH_CHANCE = 0.2
CLOCK_OFFSET_SECONDS = 3600
ROLL_READY_TIMEOUT_SECONDS = 15.0
RESTART_POLL_SECONDS = 0.05

_VENUE: Mapping[Kind, Mapping[str, Any]] = {
    Kind.VENUE_AMBIGUOUS: {"ambiguous_rate": 0.3},
    Kind.VENUE_ERRORS: {"error_rate": 0.5},
    Kind.VENUE_SLOW: {"latency_ms": 1_500},
    Kind.VENUE_DOWN: {"down": True},
    Kind.VENUE_HIDING: {"hide_seconds": 1.0, "ambiguous_rate": 0.1},
    Kind.STREAM_MUTE: {"stream": {"mute": True}},
    Kind.STREAM_DROPPING: {"stream": {"drop_rate": 0.3}},
    Kind.STREAM_DOUBLING: {"stream": {"duplicate_rate": 0.5}},
    Kind.STREAM_REORDERING: {"stream": {"reorder_rate": 0.5, "delay_ms": 20}},
}
_SIGNALS: Mapping[Kind, signal.Signals] = {Kind.KILLED: signal.SIGKILL, Kind.STOPPED: signal.SIGTERM}
_OF_THE_EXCHANGE = frozenset(
    {Kind.LISTING_LATE, Kind.CANCELS_PENDING, Kind.DAY_ENDED, Kind.EXCHANGE_RESTARTED, Kind.STREAM_CUT}
)
_PAUSES = frozenset({Kind.PAUSED, Kind.PAUSED_BRIEFLY, Kind.VALKEY_PAUSED})


@dataclass(slots=True, kw_only=True)
class Nemesis:
    """Injects faults into the arena. `injected` counts them, by kind; `pauses` are those of our processes."""

    arena: Arena
    history: History
    exchange: ExchangeFaults
    halts: Halts
    seed: int
    injected: Counter[Kind] = field(default_factory=Counter)
    pauses: list[Pause] = field(default_factory=list)

    async def prepare(self) -> None:
        """Set the usual faults of the exchange."""
        await self.exchange.set_all()

    async def rage(self, schedule: Sequence[Injection]) -> None:
        """Inject everything at its time; ends when the last fault has."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as tasks:
            for injection in schedule:
                await asyncio.sleep(began + injection.at - loop.time())
                self.injected[injection.kind] += 1
                self.history.note(
                    "fault",
                    fault=injection.kind.value,
                    target=injection.target,
                    seconds=injection.seconds,
                    point=injection.point,
                )
                tasks.create_task(self._inject(injection))

    async def repair(self) -> None:
        """Remove every fault; processes that are down are restarted by the supervisor."""
        await self.exchange.repair()
        for name in PROCESSES:
            self.arena.send(name, signal.SIGCONT)
            if self._disarm(name):
                self.arena.send(name, signal.SIGKILL)
        self.arena.send("valkey", signal.SIGCONT)
        await self.halts.repair()
        self.history.note("calm")

    async def _inject(self, injection: Injection) -> None:
        if injection.kind in _SIGNALS:
            self.arena.send(injection.target, _SIGNALS[injection.kind])
        elif injection.kind in _PAUSES:
            await self._pause(injection.target or "valkey", injection.seconds)
        elif injection.kind in _VENUE:
            await self.exchange.misbehave(_VENUE[injection.kind], injection.seconds)
        elif injection.kind in _OF_THE_EXCHANGE:
            await self._inject_at_exchange(injection)
        elif injection.kind in GATEWAY_KINDS:
            scripts = make_scripts(injection.kind, seed=f"{self.seed}:{injection.at}")
            await self.exchange.answer_as_gateway(scripts, injection.seconds)
        else:
            await self._inject_other(injection)

    async def _inject_other(self, injection: Injection) -> None:
        match injection.kind:
            case Kind.CRASHED:
                await self._live_otherwise(injection, {CRASH_SETTING: f"{injection.point}:{CRASH_CHANCE}"})
            case Kind.CLOCK_OFF:
                await self._live_otherwise(injection, {OFFSET_SETTING: str(CLOCK_OFFSET_SECONDS)})
            case Kind.ROLLED:
                await self._roll()
            case Kind.ACCOUNTS_HALTED:
                await self.halts.halt(injection.seconds)
            case Kind.VALKEY_EMPTIED:
                self.arena.empties_valkey = True
                self.arena.send("valkey", signal.SIGKILL)
            case Kind.POSTGRES_RESTARTED:
                self.arena.send("postgres", signal.SIGQUIT)
            case Kind.SESSIONS_ENDED:
                await self._end_sessions()

    async def _inject_at_exchange(self, injection: Injection) -> None:
        match injection.kind:
            case Kind.LISTING_LATE:
                await self.exchange.list_late(injection.seconds)
            case Kind.CANCELS_PENDING:
                await self.exchange.leave_cancels(injection.seconds)
            case Kind.DAY_ENDED:
                await self.exchange.end_day(status=_day_end(injection.at))
            case Kind.EXCHANGE_RESTARTED:
                await self.exchange.restart()
            case Kind.STREAM_CUT:
                await self.arena.control("POST", "disconnect", {"hold_slot_seconds": injection.seconds})

    async def _pause(self, name: str, seconds: float) -> None:
        pid = self.arena.send(name, signal.SIGSTOP)
        if pid is None:
            return
        began = time.time()
        try:
            await asyncio.sleep(seconds)
        finally:
            # Only the very process that was stopped: its successor runs.
            self.arena.send(name, signal.SIGCONT)
            self.pauses.append(Pause(process=name, began=began, ended=time.time()))

    async def _live_otherwise(self, injection: Injection, settings: Mapping[str, str]) -> None:
        """Kill the process, start it with these settings, and kill it again unless it ended because of them."""
        name = injection.target
        self.arena.environments[name] |= settings
        self.arena.send(name, signal.SIGKILL)
        await asyncio.sleep(injection.seconds)
        if self._disarm(name):
            self.arena.send(name, signal.SIGKILL)

    def _disarm(self, name: str) -> bool:
        environment, usual = self.arena.environments[name], str(self.arena.clock_offsets[name])
        crash = environment.pop(CRASH_SETTING, None)
        offset, environment[OFFSET_SETTING] = environment[OFFSET_SETTING], usual
        return crash is not None or offset != usual

    async def _roll(self) -> None:
        """Restart every process in turn: stop it, and wait until its successor serves."""
        for name in PROCESSES:
            if self.arena.send(name, signal.SIGTERM) is None:
                continue
            await asyncio.sleep(RESTART_POLL_SECONDS)
            try:
                async with asyncio.timeout(ROLL_READY_TIMEOUT_SECONDS):
                    while not await self.arena.is_ready(name):  # noqa: ASYNC110  # Another process cannot set our event.
                        await asyncio.sleep(RESTART_POLL_SECONDS)
            except TimeoutError:
                continue  # Another fault is upon it as well.

    async def _end_sessions(self) -> None:
        try:
            await end_sessions(self.arena.database_url)
        except OUTAGES:
            return  # It is down already.


def _day_end(at: float) -> str:
    """Return how open DAY orders end: some exchanges cancel them."""
    return "canceled" if round(at * 1000) % 2 else "expired"
