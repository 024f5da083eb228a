"""The examples as people run them, each with its own client library: an order whose answer is lost is placed once,
and followed over a closed connection without missing or repeating a change.
"""

import json
import secrets
from pathlib import Path

import pytest

from tests.flow.examples import EXAMPLES, FOLLOWER, ORDERS, WITHIN_SECONDS, Example, fill, shown, shows, started
from tests.support.node import INSTALL_TIMEOUT_SECONDS, LOCK, PROJECT
from tests.support.processes import ROOT, eventually
from tests.support.proxy import Proxy
from tests.support.system import Json, System, token

pytestmark = pytest.mark.timeout(INSTALL_TIMEOUT_SECONDS + 60)  # The first test installs the packages.


each_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)


async def filled(system: System, order: Json, quantity: str, *, account: str) -> None:
    async def reached() -> bool:
        return bool((await system.order(order["id"], account=account))["filledQuantity"] == quantity)

    await eventually(reached, within_seconds=WITHIN_SECONDS, what=f"{quantity} filled")


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

    async def placed(client_order_id: str) -> None:
        order_id = await system.placed_id(client_order_id=client_order_id, account=account)
        await system.becomes(order_id, "PLACED", account=account)

    async with started(FOLLOWER, cursor, folder=installed, url=url, bearer=token(account)) as first_run:
        await first_run.shows("CHECKPOINT", within_seconds=WITHIN_SECONDS)
        await placed("one")
        await first_run.shows("CHANGE one 2 PLACED", within_seconds=WITHIN_SECONDS)
        await proxy.refuse()
        await placed("two")
        await eventually(lambda: proxy.refused, within_seconds=WITHIN_SECONDS, what="a first attempt to come back")
        await proxy.restore()
        await first_run.shows("CHANGE two 2 PLACED", within_seconds=WITHIN_SECONDS)
    await placed("three")
    async with started(FOLLOWER, cursor, folder=installed, url=url, bearer=token(account)) as second_run:
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
