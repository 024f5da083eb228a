"""`./dev watch` as a process against real servers: each change of the account once, across a restart, and clean
ends.
"""

import asyncio
import os
import pty
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.processes import ROOT, RunningProcess, eventually, running
from tests.support.system import TOKEN_SECRET, System, token
from tools.devstack.folder import prepare_folder
from tools.devstack.ports import free_port

WITHIN_SECONDS = 15.0
WATCH = ["-m", "tools.devstack", "watch"]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def account() -> str:
    return secrets.token_hex(8)


@pytest.fixture
def local(system: System, account: str, tmp_path: Path) -> Path:
    """Create the files that `./dev up` writes to its folder."""
    prepare_folder(tmp_path)
    (tmp_path / "token").write_text(token(account))
    (tmp_path / "graphql-url").write_text(f"{system.api_url}/graphql")
    return tmp_path


@asynccontextmanager
async def watching(local: Path, *arguments: str, **environment: str) -> AsyncIterator[RunningProcess]:
    """Start the command, piped, and wait until it follows."""
    settings = {"LOCAL_DIR": str(local), **environment}
    async with running([*WATCH, *arguments], environment=settings) as watch:
        await watch.shows("following", within_seconds=WITHIN_SECONDS)
        yield watch


def changes(watch: RunningProcess) -> list[list[str]]:
    """Return the columns of each printed change, without the time."""
    lines = [line.split() for line in watch.output]
    return [columns[1:] for columns in lines if columns and TIME.fullmatch(columns[0])]


async def placed(system: System, name: str, account: str, **terms: str) -> str:
    order_id = await system.placed_id(client_order_id=name, account=account, **terms)
    await system.becomes(order_id, "PLACED", account=account)
    return order_id


async def fill(system: System, order_id: str, account: str, quantity: str) -> None:
    venue_order_id = (await system.order(order_id, account=account))["venueOrderId"]
    await system.control("POST", "fills", {"order_id": venue_order_id, "qty": quantity, "price": "200.10"})


async def test_each_change_of_the_account_is_one_plain_line(system: System, local: Path, account: str) -> None:
    async with watching(local) as watch:
        order_id = await placed(system, "mine", account)
        limited = await placed(system, "limited", account, type="LIMIT", limitPrice="150.5", side="SELL")
        await placed(system, "others", account + "x")
        await fill(system, order_id, account, "30")
        await watch.shows("30/90", within_seconds=WITHIN_SECONDS)
        await fill(system, order_id, account, "60")
        await watch.shows("90/90", within_seconds=WITHIN_SECONDS)
        await system.cancel(limited, account=account)
        await watch.shows("CANCELED", within_seconds=WITHIN_SECONDS)

    assert [line for line in changes(watch) if line[0] == "mine"] == [
        ["mine", "AAPL", "BUY", "90", "PENDING", "0/90", "-"],
        ["mine", "AAPL", "BUY", "90", "PLACED", "0/90", "-"],
        ["mine", "AAPL", "BUY", "90", "PARTIALLY_FILLED", "30/90", "200.1"],
        ["mine", "AAPL", "BUY", "90", "FILLED", "90/90", "200.1"],
    ]
    assert ["limited", "AAPL", "SELL", "90", "PLACED", "0/90", "150.5"] in changes(watch)
    assert not [line for line in changes(watch) if line[0] == "others"]
    assert "\033" not in "".join(watch.output)


async def test_what_happens_while_the_api_restarts_follows_once_and_in_order(
    system: System, local: Path, account: str
) -> None:
    await system.start("api-2")
    (local / "graphql-url").write_text(f"http://127.0.0.1:{system.ports['api-2']}/graphql")
    async with watching(local) as watch:
        await placed(system, "one", account)
        await watch.shows("PLACED", within_seconds=WITHIN_SECONDS)
        await system.kill("api-2")
        await placed(system, "two", account)
        await watch.shows("lost", within_seconds=WITHIN_SECONDS)
        await system.start("api-2")
        await placed(system, "three", account)
        await eventually(lambda: len(changes(watch)) >= 6, within_seconds=WITHIN_SECONDS)
    await system.stop("api-2")

    assert [(line[0], line[4]) for line in changes(watch)] == [
        (name, status) for name in ("one", "two", "three") for status in ("PENDING", "PLACED")
    ]


async def test_another_account_is_followed_with_its_own_token(system: System, local: Path, account: str) -> None:
    other = account + "x"
    async with watching(local, "--account", other, TOKEN_SECRET=TOKEN_SECRET) as watch:
        await placed(system, "others", other)
        await watch.shows("PLACED", within_seconds=WITHIN_SECONDS)

    assert {line[0] for line in changes(watch)} == {"others"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_without_a_traceback(local: Path, number: signal.Signals) -> None:
    async with watching(local) as watch:
        watch.send(number)
        assert await watch.ends(within_seconds=5) == 0

    assert len(watch.output) == 1, watch.output


async def test_it_ends_when_the_reader_of_its_lines_has_gone(local: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *WATCH,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "LOCAL_DIR": str(local)},
        stdout=(write_end := os.pipe())[1],
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(write_end[1])
    assert process.stderr is not None
    async with asyncio.timeout(WITHIN_SECONDS):
        assert b"following" in await process.stderr.readline()
        os.close(write_end[0])
        rest, code = await process.stderr.read(), await process.wait()

    assert (code, rest) == (0, b"")


async def test_a_terminal_shows_colours_and_one_with_no_color_set_does_not(
    system: System, local: Path, account: str
) -> None:
    order_id = await placed(system, "seen", account)
    for extra, colored in ((), True), ((("NO_COLOR", "1"),), False):
        ours, theirs = pty.openpty()
        environment = {"PATH": os.environ["PATH"], "LOCAL_DIR": str(local), **dict(extra)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *WATCH, cwd=ROOT, env=environment, stdout=theirs, stderr=asyncio.subprocess.PIPE
        )
        os.close(theirs)
        assert process.stderr is not None
        async with asyncio.timeout(WITHIN_SECONDS):
            await process.stderr.readline()
            await fill(system, order_id, account, "10")
            line = await asyncio.to_thread(os.read, ours, 1000)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
        os.close(ours)
        assert (b"\033[" in line) is colored


@pytest.mark.parametrize("has_run", [False, True])
async def test_when_nothing_runs_one_message_has_the_fix(local: Path, *, has_run: bool) -> None:
    (local / "graphql-url").unlink()
    if has_run:
        (local / "graphql-url").write_text(f"http://127.0.0.1:{free_port()}/graphql")
    async with running(WATCH, environment={"LOCAL_DIR": str(local)}) as watch:
        assert await watch.ends(within_seconds=WITHIN_SECONDS) == 1
        await watch.shows("./dev up", within_seconds=WITHIN_SECONDS)

    assert len(watch.output) == 1, watch.output


async def test_a_token_that_is_not_accepted_ends_it_with_a_sentence(local: Path) -> None:
    (local / "token").write_text("no.such.token")
    async with running(WATCH, environment={"LOCAL_DIR": str(local)}) as watch:
        assert await watch.ends(within_seconds=WITHIN_SECONDS) == 1
        await watch.shows("token", within_seconds=WITHIN_SECONDS)

    assert len(watch.output) == 1, watch.output
