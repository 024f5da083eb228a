"""Runs the examples as people run them: from a checkout of their own, with the packages of the lock."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.node import need_program
from tests.support.processes import RunningProcess, eventually, running
from tests.support.system import Json, System

WITHIN_SECONDS = 30.0
LAST_VERSION = 5
"""RECEIVED, PLACED and three fills."""
STATE = re.compile(r"(\d+) ([A-Z_]+) (\S+)")
ORDERS = "{ orders { nodes { id clientOrderId status version } } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example: the program that runs it, and its file."""

    program: Sequence[str]
    file: str

    def __str__(self) -> str:
        return self.file.partition("/")[0]


EXAMPLES = (
    Example(program=("node",), file="apollo/place-and-follow.js"),
    Example(program=("bash",), file="curl/place-and-follow.sh"),
    Example(program=("node",), file="graphql-ws/place-and-follow.js"),
    Example(program=(sys.executable,), file="python/place_and_follow.py"),
    Example(program=("node",), file="relay/place-and-follow.js"),
    Example(program=("node",), file="urql/place-and-follow.js"),
)
FOLLOWER = Example(program=("node",), file="graphql-ws/follow-account.js")
WITH_SOCKETS = tuple(example for example in EXAMPLES if str(example) != "curl")


@asynccontextmanager
async def started(
    example: Example, *arguments: str, folder: Path, url: str, bearer: str | None = None
) -> AsyncIterator[RunningProcess]:
    """Return the example, running as the bearer, or as the token in the checkout's file says."""
    program, *options = example.program
    async with running(
        [*options, example.file, *arguments],
        environment={"FILLWIRE_URL": f"{url}/graphql"} | ({"FILLWIRE_TOKEN": bearer} if bearer else {}),
        python=need_program(program),
        directory=folder,
    ) as process:
        yield process


def shown(process: RunningProcess) -> list[tuple[int, str, str]]:
    """Return the states that it has shown so far: version, status, filled quantity."""
    found = map(STATE.fullmatch, process.output)
    return [(int(state[1]), state[2], state[3]) for state in found if state]


async def shows(process: RunningProcess, status: str, filled: str) -> None:
    def reached() -> bool:
        return process.silent or (status, filled) in [state[1:] for state in shown(process)]

    await eventually(reached, within_seconds=WITHIN_SECONDS, what=f"{status} {filled} from {process.name}")
    assert (status, filled) in [state[1:] for state in shown(process)], process.output


async def fill(system: System, order: Json, quantity: str, *, account: str) -> None:
    venue_order_id = (await system.order(order["id"], account=account))["venueOrderId"]
    await system.control("POST", "fills", {"order_id": venue_order_id, "qty": quantity, "price": "200.10"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Several examples at once, each with an order of one account; their outputs are the same but for the order."""

    system: System
    account: str
    processes: Sequence[RunningProcess]

    async def show(self, status: str, filled: str) -> None:
        """Wait until each has shown the state."""
        await asyncio.gather(*(shows(process, status, filled) for process in self.processes))

    async def fill(self, quantity: str) -> None:
        """Fill each order by this much more."""
        orders = (await self.system.ask(ORDERS, account=self.account))["orders"]["nodes"]
        assert len(orders) == len(self.processes)
        for order in orders:
            await fill(self.system, order, quantity, account=self.account)

    async def end(self) -> None:
        """Wait for the end of each: it has shown each change once, in order."""
        for process in self.processes:
            assert await process.ends(within_seconds=WITHIN_SECONDS) == 0, process.output
            await shows(process, "FILLED", "90")
            versions = [version for version, _, _ in shown(process)]
            assert versions == list(range(versions[0], versions[0] + len(versions))), process.output
            assert versions[-1] == LAST_VERSION, process.output


@asynccontextmanager
async def all_started(
    system: System, examples: Sequence[Example], *, folder: Path, url: str, account: str
) -> AsyncIterator[Examples]:
    """Return the examples, each with an order of which it has shown that 30 are filled."""
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(started(example, folder=folder, url=url)) for example in examples]
        running = Examples(system=system, account=account, processes=processes)
        await running.show("PLACED", "0")
        await running.fill("30")
        await running.show("PARTIALLY_FILLED", "30")
        yield running
