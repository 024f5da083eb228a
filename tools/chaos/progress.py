"""Prints the progress of a run, a line every few seconds, and reads the exchange's journal meanwhile."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import aiohttp

from tools.chaos.arena import Arena
from tools.chaos.load import Load
from tools.chaos.nemesis import Nemesis
from tools.chaos.subscribers import Subscribers
from tools.chaos.truth import Journal

TELL_EVERY_SECONDS = 15.0


@dataclass(slots=True, kw_only=True)
class Progress:
    """What the lines are made from."""

    arena: Arena
    load: Load
    subscribers: Subscribers
    nemesis: Nemesis
    journal: Journal

    async def tell(self) -> None:
        """Print, until cancelled."""
        loop = asyncio.get_running_loop()
        began, acknowledged_before = loop.time(), 0
        for number in count(1):
            await asyncio.sleep(began + number * TELL_EVERY_SECONDS - loop.time())
            acknowledged = self.load.acknowledged_orders
            rate = (acknowledged - acknowledged_before) / TELL_EVERY_SECONDS
            acknowledged_before = acknowledged
            print(f"  {number * TELL_EVERY_SECONDS / 60:5.2f} min  {self._line(acknowledged, rate)}", flush=True)
            with suppress(aiohttp.ClientError, TimeoutError):
                await self.journal.read_on(self.arena)

    def _line(self, acknowledged: int, rate: float) -> str:
        return (
            f"{acknowledged} orders acknowledged ({rate:.0f}/s), {len(self.journal.executions)} executions read, "
            f"{self.subscribers.messages} messages, {sum(self.nemesis.injected.values())} faults, "
            f"{sum(self.arena.deaths.values())} deaths"
        )
