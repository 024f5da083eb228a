"""One run from start to verdict: the arena, the storm, the calm, the check, the report."""

import asyncio
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from tools.chaos.arena import Arena, open_arena
from tools.chaos.calm import Calm, wait_for_calm
from tools.chaos.checker import check
from tools.chaos.evidence import Evidence
from tools.chaos.history import History, open_history
from tools.chaos.lag import Lag
from tools.chaos.leftovers import look, look_for_leftovers
from tools.chaos.nemesis import Nemesis
from tools.chaos.options import Options
from tools.chaos.participants import Participants, make_participants, open_ledger
from tools.chaos.progress import Progress
from tools.chaos.report import render
from tools.chaos.schedule import make_offsets, make_schedule
from tools.chaos.violations import Violation

RAGE_GRACE_SECONDS = 1.0
LEAVE_TIMEOUT_SECONDS = 5.0
MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


async def run(options: Options) -> int:
    """Run once and print the report; 1 on any violation, 0 otherwise."""
    folder = Path(tempfile.mkdtemp(prefix="fillwire-chaos-"))
    history_path = options.history or folder / "history.jsonl"
    log_path = folder / "processes.log"
    print(f"seed {options.seed}, {options.storm_seconds:g} s of faults; {options.command}", flush=True)  # A command.
    violated = True
    try:
        with open_history(history_path) as history, log_path.open("w", encoding="utf-8") as log:
            async with open_arena(
                folder / "servers",
                worker=options.worker,
                has_id_check=options.has_id_check,
                clock_offsets=make_offsets(seed=options.seed, seconds_max=options.skew),
                log=log,
            ) as arena:
                report, violated = await _storm_and_check(arena, options, history)
        print(report, flush=True)  # A command.
    finally:
        shutil.rmtree(folder / "servers", ignore_errors=True)
        if violated:
            print(f"history: {history_path}\nlogs: {log_path}", flush=True)  # A command.
        else:
            shutil.rmtree(folder)
    return int(violated)


async def _storm_and_check(arena: Arena, options: Options, history: History) -> tuple[str, bool]:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        run = make_participants(arena, options, history, stack)
        held_before = await look(arena, run.ledger)
        trailing = _begun(run.trail.watch(arena), stack)
        calm, ended_at = await _storm_until_calm(run, options, stack)
        leftovers = await look_for_leftovers(arena, run.ledger, held_before, ended_at=ended_at)
        checking_began = time.monotonic()
        await _ended(trailing)
        await run.trail.read_on(arena, is_end=True)
        await run.journal.read_on(arena)
        stored = await run.ledger.read_all()
    evidence = run.gather(stored, calm=calm, leftovers=leftovers)
    violations = _check_and_note(evidence, history)
    figures = run.figures(
        total_seconds=time.monotonic() - began,
        checking_seconds=time.monotonic() - checking_began,
        memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT_BYTES,
        load_seconds=options.storm_seconds,
    )
    report = render(
        options=options, injected=run.nemesis.injected, figures=figures, evidence=evidence, violations=violations
    )
    return report, bool(violations)


async def _storm_until_calm(run: Participants, options: Options, stack: AsyncExitStack) -> tuple[Calm, float]:
    """Storm, and wait for the calm; return it, and when the storm ended, in the event loop's seconds."""
    subscribers, load = run.subscribers, run.load
    progress = Progress(arena=run.arena, load=load, subscribers=subscribers, nemesis=run.nemesis, journal=run.journal)
    following = _begun(subscribers.run(), stack)
    telling = _begun(progress.tell(), stack)
    placing_external = _begun(run.external.run(), stack)
    loading = _begun(load.run(seconds=options.storm_seconds), stack)
    await _rage(options, run.nemesis)
    ended_at = asyncio.get_running_loop().time()
    subscribers.settle()
    lag = Lag(followings=subscribers.followings)
    watching = _begun(lag.watch(open_ledger(run.arena, stack)), stack)
    await loading
    await _ended(placing_external, telling)
    calm = await wait_for_calm(
        run.arena,
        run.ledger,
        operator=run.operator,
        journal=run.journal,
        lag=lag,
        history=run.history,
        ended_at=ended_at,
    )
    await _ended(watching, following)
    run.clients.connections.close()  # The API keeps them for longer than the calm lasts.
    return calm, ended_at


def _check_and_note(evidence: Evidence, history: History) -> Sequence[Violation]:
    violations = check(evidence)
    for violation in violations:
        history.note("violation", **asdict(violation))
    return violations


def _begun(work: Coroutine[None, None, None], stack: AsyncExitStack) -> "asyncio.Task[None]":
    task = asyncio.create_task(work)
    stack.callback(task.cancel)
    return task


async def _ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=LEAVE_TIMEOUT_SECONDS)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()  # An error in it is an error of the run.


async def _rage(options: Options, nemesis: Nemesis) -> None:
    """Inject every fault of the schedule, then remove all of them."""
    await nemesis.prepare()
    schedule = make_schedule(seed=options.seed, seconds=options.storm_seconds, has_id_check=options.has_id_check)
    try:
        async with asyncio.timeout(options.storm_seconds + RAGE_GRACE_SECONDS):
            await nemesis.rage(schedule)
    except TimeoutError:
        pass  # What lasted longer than the storm ends here.
    await nemesis.repair()
