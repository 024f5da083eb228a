"""One run of the benchmarks: durations, the servers that all stages share, the order of contenders."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.frame.machine import CpuMeter
from benchmarks.frame.results import Rounds, Sample
from tests.support.migrated import migrate
from tests.support.servers import PostgresServer, TestServer, running_postgres, running_valkey

Contender = Callable[[], Awaitable[Sample]]
"""Does its work once and tells what that showed."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """Arguments of a stage. `seconds` is how long one contender is measured in one round; `is_short` selects the
    smallest work that still shows the ratios, as CI runs it.
    """

    rounds: int
    seconds: float
    is_short: bool
    folder: Path
    stack: AsyncExitStack
    _postgres: PostgresServer | None = field(default=None)
    _valkey: TestServer | None = field(default=None)
    _template: str = ""

    async def fresh_database(self) -> str:
        """Return the URL of an empty database with Fillwire's tables, on a PostgreSQL of this run with fsync on."""
        postgres = await self.postgres()
        if not self._template:
            self._template = await postgres.create_database()
            await asyncio.to_thread(migrate, self._template)
        return await postgres.create_database(template=self._template)

    async def postgres(self) -> PostgresServer:
        """Return the run's PostgreSQL."""
        if self._postgres is None:
            self._postgres = self.stack.enter_context(running_postgres(self.folder / "postgres-server"))
        return self._postgres

    async def valkey(self) -> TestServer:
        """Return the run's Valkey."""
        if self._valkey is None:
            self._valkey = self.stack.enter_context(running_valkey(self.folder / "valkey-server"))
        return self._valkey

    async def meter(self, **pids: int) -> CpuMeter:
        """Measures the processor time of these processes, and of the run's PostgreSQL."""
        return CpuMeter({**pids, "postgres": (await self.postgres()).server.pid()})

    async def take_turns(self, contenders: Mapping[str, Contender], *, warm_up: bool = True) -> Rounds:
        """Run each contender once to warm up, then once in each round, every other round in reverse order, so that
        drift favours none.
        """
        rounds, order = Rounds(), list(contenders)
        if warm_up:
            for name in order:
                await contenders[name]()
        for number in range(self.rounds):
            for name in order if number % 2 == 0 else reversed(order):
                rounds.note(name, await contenders[name]())
        return rounds


@asynccontextmanager
async def open_bench(*, rounds: int, seconds: float, is_short: bool, folder: Path) -> AsyncIterator[Bench]:
    """Open a run whose servers end with the block."""
    async with AsyncExitStack() as stack:
        yield Bench(rounds=rounds, seconds=seconds, is_short=is_short, folder=folder, stack=stack)
