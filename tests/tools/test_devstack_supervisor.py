"""The supervisor, with real small processes."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.processes import ROOT, eventually, running
from tools.devstack.errors import LocalStackError
from tools.devstack.program import Program
from tools.devstack.running import command_of
from tools.devstack.supervisor import SupervisionPolicy, supervision

QUICK = SupervisionPolicy(restart_delay_seconds=0.02)
SLEEP = "import signal; signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('deaf', flush=True)\nwhile True: signal.pause()"
)


class Lines:
    """What the programs wrote, as (name, line)."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def write(self, name: str, line: str) -> None:
        self.all.append((name, line))

    def of(self, name: str) -> list[str]:
        return [line for writer, line in self.all if writer == name]


@pytest.fixture
def lines() -> Lines:
    return Lines()


def python(name: str, code: str, *, stop_rank: int = 0, restarts: bool = True, ready: Path | None = None) -> Program:
    async def is_ready() -> bool:
        return ready is None or os.path.exists(ready)  # noqa: ASYNC240, PTH110  # A test's own folder does not block.

    return Program(
        name=name,
        command=[sys.executable, "-I", "-S", "-c", code],
        environment={},
        directory=ROOT,
        stop_rank=stop_rank,
        restarts=restarts,
        ready=is_ready,
    )


def farewell(name: str) -> str:
    """Return code that prints a message on SIGTERM."""
    return (
        "import signal, sys\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (print('{name} leaves', flush=True), sys.exit()))\n"
        "print('here', flush=True)\nwhile True: signal.pause()"
    )


def gone(pid: int) -> Callable[[], bool]:
    return lambda: command_of(pid) == ""


async def test_a_start_returns_when_the_program_is_ready(lines: Lines, tmp_path: Path) -> None:
    mark = tmp_path / "ready"

    async with supervision(lines.write, QUICK) as supervisor:
        await supervisor.start(python("api", f"open({str(mark)!r}, 'w'); {SLEEP}", ready=mark))

        assert mark.exists()
        assert command_of(supervisor.pid("api"))


async def test_each_line_is_prefixed_with_the_name_of_its_writer(lines: Lines) -> None:
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.stdout.write('x' * 200_000 + '\\nlast')"

    async with supervision(lines.write, QUICK) as supervisor:
        await supervisor.run(python("worker", code, restarts=False))

    assert {"one", "two", "last"} <= set(lines.of("worker"))
    assert sum(len(line) for line in lines.of("worker") if set(line) == {"x"}) == 200_000


async def test_a_run_that_fails_is_an_error_that_names_the_program(lines: Lines) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(LocalStackError, match="migrate failed"), flatten_subgroups=True):
        async with supervision(lines.write, QUICK) as supervisor:
            await supervisor.run(python("migrate", "raise SystemExit(3)", restarts=False))


async def test_a_program_that_dies_is_started_again(lines: Lines) -> None:
    async with supervision(lines.write, QUICK) as supervisor:
        await supervisor.start(python("ingest", farewell("ingest")))
        first = supervisor.pid("ingest")
        await eventually(lambda: "here" in lines.of("ingest"), within_seconds=5)

        os.kill(first, signal.SIGKILL)
        await eventually(lambda: lines.of("ingest").count("here") == 2, within_seconds=5)

        assert supervisor.pid("ingest") != first
        assert any("killed by SIGKILL" in line and "restarting in" in line for line in lines.of("ingest"))


async def test_the_fourth_death_within_a_minute_stops_everything(lines: Lines) -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(LocalStackError, match="worker died 4 times within a minute: exit code 7"),
        flatten_subgroups=True,
    ):
        async with supervision(lines.write, QUICK) as supervisor:
            await supervisor.start(python("api", farewell("api")))
            await eventually(lambda: "here" in lines.of("api"), within_seconds=5)
            await supervisor.start(python("worker", "raise SystemExit(7)"))
            await supervisor.wait()

    assert lines.of("api")[-1] == "api leaves"
    assert len([line for line in lines.of("worker") if "restarting" in line]) == 3


async def test_deaths_that_lie_more_than_a_minute_apart_are_forgiven(lines: Lines) -> None:
    async with supervision(lines.write, replace(QUICK, deaths_window_seconds=0.0)) as supervisor:
        await supervisor.start(python("worker", "raise SystemExit(7)"))
        await eventually(lambda: len(lines.of("worker")) > 5, within_seconds=5)

        assert all("restarting" in line for line in lines.of("worker"))


async def test_programs_stop_rank_after_rank(lines: Lines) -> None:
    async with supervision(lines.write, QUICK) as supervisor:
        for name, rank in (("postgres", 3), ("api", 0), ("valkey", 2), ("exchange", 1)):
            await supervisor.start(python(name, farewell(name), stop_rank=rank))
        await eventually(lambda: len(lines.all) == 4, within_seconds=5)

    assert [name for name, line in lines.all if "leaves" in line] == ["api", "exchange", "valkey", "postgres"]


async def test_a_program_that_does_not_stop_is_killed(lines: Lines) -> None:
    async with supervision(lines.write, replace(QUICK, stop_timeout_seconds=0.1)) as supervisor:
        await supervisor.start(python("worker", STUBBORN))
        await eventually(lambda: "deaf" in lines.of("worker"), within_seconds=5)
        pid = supervisor.pid("worker")

    assert command_of(pid) == ""
    assert "killing it" in lines.of("worker")[-1]


async def test_a_program_that_is_never_ready_is_an_error(lines: Lines) -> None:
    policy = replace(QUICK, ready_timeout_seconds=0.1)
    with pytest.RaisesGroup(
        pytest.RaisesExc(LocalStackError, match="api was not ready within"), flatten_subgroups=True
    ):
        async with supervision(lines.write, policy) as supervisor:
            await supervisor.start(python("api", SLEEP, ready=Path("/nonexistent")))


async def test_a_cancelled_start_leaves_no_process(lines: Lines) -> None:
    async def start_for_ever() -> None:
        async with supervision(lines.write, QUICK) as supervisor:
            await supervisor.start(python("api", farewell("api"), ready=Path("/nonexistent")))

    starting = asyncio.create_task(start_for_ever())
    await eventually(lambda: "here" in lines.of("api"), within_seconds=5)

    starting.cancel()
    await asyncio.wait({starting}, timeout=5)

    assert starting.cancelled()
    assert lines.of("api")[-1] == "api leaves"


async def test_nothing_outlives_a_parent_killed_with_kill_9() -> None:
    code = (
        "import asyncio\nfrom tests.tools.test_devstack_supervisor import *\n"
        "async def main():\n"
        "    async with supervision(lambda name, line: print(name, line, flush=True)) as supervisor:\n"
        "        await supervisor.start(python('deaf-worker', STUBBORN))\n"
        "        await supervisor.start(python('api', SLEEP))\n"
        "        print('pids', supervisor.pid('deaf-worker'), supervisor.pid('api'), flush=True)\n"
        "        await supervisor.wait()\n"
        "asyncio.run(main())"
    )
    async with running(["-c", code], environment={}) as parent:
        await parent.shows("deaf-worker deaf", within_seconds=10)
        children = [int(word) for word in (await parent.shows("pids", within_seconds=10)).split()[1:]]

        await parent.kill()

        for child in children:
            await eventually(gone(child), within_seconds=5)
    assert len(children) == 2
