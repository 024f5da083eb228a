"""The stages' side of the load processes: send an order, receive its result."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from benchmarks.load.http import HttpLoad
from tests.support.processes import INHERITED, ROOT
from tools.devstack.running import launch_command

ANSWER_MAX_BYTES = 1 << 28
SHOWN_CHARACTERS = 800


class LoadFailedError(Exception):
    """Answers were wrong: the measurement is not valid."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A process that obeys. One order at a time."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def order(self, load: str, **options: Any) -> dict[str, Any]:
        """Send one order, and wait for its answer. Raises LoadFailedError when the process ends instead."""
        asked, answered = self.process.stdin, self.process.stdout
        if asked is None or answered is None:
            raise LoadFailedError("the process that puts the load on has no pipes")
        asked.write(orjson.dumps({"load": load, **options}, option=orjson.OPT_APPEND_NEWLINE))
        await asked.drain()
        line = await answered.readline()
        if not line:
            raise LoadFailedError("the process that puts the load on has ended; its words are above")
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    async def ask(self, load: HttpLoad) -> dict[str, Any]:
        """Put an HTTP load on. Raises LoadFailedError when an answer was wrong."""
        answer = await self.order("http", **asdict(load))
        if answer["errors"]:
            raise LoadFailedError(f"{answer['errors']} wrong answers, the first: {answer['error'][:SHOWN_CHARACTERS]}")
        return answer


@asynccontextmanager
async def load_generator() -> AsyncIterator[Driver]:
    """Run the process that sends requests and receives frames, until the block ends."""
    async with open_driver("benchmarks.load") as driver:
        yield driver


@asynccontextmanager
async def exchange_driver(*, port: int) -> AsyncIterator[Driver]:
    """Run the simulated exchange on that port, which executes on request."""
    async with open_driver("benchmarks.load.exchange", {"PORT": str(port)}) as driver:
        yield driver


@asynccontextmanager
async def open_driver(module: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Driver]:
    """Run a module of ours that answers orders line by line."""
    process = await asyncio.create_subprocess_exec(
        *launch_command([sys.executable, "-m", module], death_signal=signal.SIGKILL),
        cwd=ROOT,
        env={name: os.environ[name] for name in INHERITED if name in os.environ} | dict(environment or {}),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=ANSWER_MAX_BYTES,
    )
    try:
        yield Driver(process)
    finally:
        process.kill()
        await process.wait()
