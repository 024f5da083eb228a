"""The examples as people run them, each with its own client library: an order whose answer is lost is placed once,
and followed over a closed connection without missing or repeating a change.
"""

import json
import re
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.node import INSTALL_TIMEOUT_SECONDS, LOCK, PROJECT, need_program
from tests.support.processes import ROOT, RunningProcess, eventually, running
from tests.support.proxy import Proxy, proxied
from tests.support.system import Json, System, token

pytestmark = pytest.mark.timeout(INSTALL_TIMEOUT_SECONDS + 60)  # The first test installs the packages.

WITHIN_SECONDS = 30.0
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
each_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)


@pytest.fixture(scope="session")
def installed(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy examples/ with its packages, and with the output of Relay's compiler."""
    folder = tmp_path_factory.mktemp("checkout")
    examples = shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "schema.graphql", folder)
    (examples / "node_modules").symlink_to(node_modules)
    return examples


@pytest.fixture(scope="session")
async def compiled(installed: Path) -> Path:
    """Return the copy, with its operations compiled by Relay's compiler."""
    compiler = "node_modules/relay-compiler/cli.js"
    async with running([compiler], environment={}, python=need_program("node"), directory=installed) as relay:
        assert await relay.ends(within_seconds=WITHIN_SECONDS) == 0, relay.output
    return installed


@asynccontextmanager
async def started(
    example: Example, *arguments: str, folder: Path, url: str, bearer: str
) -> AsyncIterator[RunningProcess]:
    """Start the example with the bearer's token."""
    program, *options = example.program
    async with running(
        [*options, example.file, *arguments],
        environment={"FILLWIRE_URL": f"{url}/graphql", "FILLWIRE_TOKEN": bearer},
        python=need_program(program),
        directory=folder,
    ) as process:
        yield process


def shown(process: RunningProcess) -> list[tuple[int, str, str]]:
    """Return the printed states: version, status, filled quantity."""
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


async def filled(system: System, order: Json, quantity: str, *, account: str) -> None:
    async def reached() -> bool:
        return bool((await system.order(order["id"], account=account))["filledQuantity"] == quantity)

    await eventually(reached, within_seconds=WITHIN_SECONDS, what=f"{quantity} filled")


@pytest.fixture
async def api_proxy(system: System) -> AsyncIterator[tuple[Proxy, str]]:
    """Run the API behind a proxy that can close connections."""
    async with proxied(system.api_url) as (proxy, url):
        yield proxy, url


@each_example
async def test_an_order_whose_answer_is_lost_is_placed_once_and_followed_over_a_closed_connection(
    example: Example, compiled: Path, system: System, api_proxy: tuple[Proxy, str]
) -> None:
    proxy, url = api_proxy
    account = secrets.token_hex(8)
    proxy.lose_next_answer()
    async with started(example, folder=compiled, url=url, bearer=token(account)) as process:
        await shows(process, "PLACED", "0")
        [order] = (await system.ask(ORDERS, account=account))["orders"]["nodes"]
        await fill(system, order, "30", account=account)
        await shows(process, "PARTIALLY_FILLED", "30")

        await proxy.refuse()
        await fill(system, order, "20", account=account)
        await fill(system, order, "10", account=account)
        await filled(system, order, "60", account=account)
        await eventually(lambda: proxy.refused, within_seconds=WITHIN_SECONDS, what="a first attempt to come back")
        await proxy.restore()

        await shows(process, "PARTIALLY_FILLED", "60")
        await fill(system, order, "30", account=account)
        assert await process.ends(within_seconds=WITHIN_SECONDS) == 0, process.output
        await eventually(lambda: process.silent, within_seconds=WITHIN_SECONDS)

    states = shown(process)
    versions = [version for version, _, _ in states]
    assert versions == list(range(versions[0], versions[0] + len(versions)))
    assert [state[1:] for state in states[-4:]] == [
        ("PARTIALLY_FILLED", "30"),
        ("PARTIALLY_FILLED", "50"),
        ("PARTIALLY_FILLED", "60"),
        ("FILLED", "90"),
    ]
    assert len((await system.ask(ORDERS, account=account))["orders"]["nodes"]) == 1


@each_example
async def test_issues_of_an_order_have_a_field_and_a_code(example: Example, compiled: Path, system: System) -> None:
    wrong = ("US0378331005", "BUY", "0.001")
    async with started(example, *wrong, folder=compiled, url=system.api_url, bearer=token("wrong")) as process:
        assert await process.ends(within_seconds=WITHIN_SECONDS) == 1, process.output
        await process.shows("BAD_LOT", within_seconds=WITHIN_SECONDS)


@each_example
async def test_a_token_without_the_scope_ends_the_example_immediately(
    example: Example, compiled: Path, system: System
) -> None:
    bearer = token("reader", scopes="orders:read")
    async with started(example, folder=compiled, url=system.api_url, bearer=bearer) as process:
        assert await process.ends(within_seconds=WITHIN_SECONDS) == 1, process.output
        await process.shows("FORBIDDEN", within_seconds=WITHIN_SECONDS)


async def test_an_account_is_followed_across_runs_without_missing_or_repeating_a_change(
    installed: Path, system: System, api_proxy: tuple[Proxy, str], tmp_path: Path
) -> None:
    proxy, url = api_proxy
    account, cursor = secrets.token_hex(8), str(tmp_path / "cursor")
    follower = Example(program=("node",), file="graphql-ws/follow-account.js")

    async def placed(client_order_id: str) -> None:
        order_id = await system.placed_id(client_order_id=client_order_id, account=account)
        await system.becomes(order_id, "PLACED", account=account)

    async with started(follower, cursor, folder=installed, url=url, bearer=token(account)) as first_run:
        await first_run.shows("CHECKPOINT", within_seconds=WITHIN_SECONDS)
        await placed("one")
        await first_run.shows("CHANGE one 2 PLACED", within_seconds=WITHIN_SECONDS)
        await proxy.refuse()
        await placed("two")
        await eventually(lambda: proxy.refused, within_seconds=WITHIN_SECONDS, what="a first attempt to come back")
        await proxy.restore()
        await first_run.shows("CHANGE two 2 PLACED", within_seconds=WITHIN_SECONDS)
    await placed("three")
    async with started(follower, cursor, folder=installed, url=url, bearer=token(account)) as second_run:
        await second_run.shows("CHANGE three 2 PLACED", within_seconds=WITHIN_SECONDS)

    changes = [line for line in first_run.output + second_run.output if line.startswith("CHANGE")]
    assert changes == [f"CHANGE {name} {state} 0" for name in ("one", "two", "three") for state in STATES]


STATES = ("1 PENDING", "2 PLACED")


def test_the_examples_name_the_versions_that_are_tested() -> None:
    ours = json.loads((ROOT / "examples" / "package.json").read_text())["dependencies"]
    tested = json.loads((PROJECT / "package.json").read_text())["dependencies"]

    assert ours == {name: version for name, version in tested.items() if name in ours}


def test_the_lock_of_the_npm_packages_names_no_registry() -> None:
    packages = json.loads(LOCK.read_text())["packages"]

    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)
