"""One run from start to verdict: the arena, the storm, the calm, the check, the report."""

import asyncio
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.chaos.arena import Arena, open_arena
from tests.chaos.calm import Calm, wait_for_calm
from tests.chaos.checker import check
from tests.chaos.clients import Clients
from tests.chaos.evidence import Evidence
from tests.chaos.history import History, open_history
from tests.chaos.ledger import Ledger
from tests.chaos.leftovers import look_for_leftovers
from tests.chaos.load import Load
from tests.chaos.nemesis import Nemesis
from tests.chaos.options import Options
from tests.chaos.report import Figures, render
from tests.chaos.schedule import make_schedule
from tests.chaos.subscribers import Subscribers
from tests.chaos.truth import read_journal, venue_executions, venue_orders

WARM_UP_SECONDS = 1.0
RAGE_GRACE_SECONDS = 1.0
LEAVE_TIMEOUT_SECONDS = 5.0
CRASHED = "exit code 9"


async def run(options: Options) -> int:
    """Run once and print the report; 1 on any violation, 0 otherwise."""
    folder = Path(tempfile.mkdtemp(prefix="fillwire-chaos-"))
    history_path = options.history or folder / "history.jsonl"
    log_path = folder / "processes.log"
    print(f"seed {options.seed}, {options.storm_seconds:g} s of faults; {options.command}", flush=True)  # noqa: T201  # A command.
    violated = True
    try:
        with open_history(history_path) as history, log_path.open("w", encoding="utf-8") as log:
            async with open_arena(folder / "servers", naive=options.naive, log=log) as arena:
                report, violated = await _storm_and_check(arena, options, history)
        print(report, flush=True)  # noqa: T201  # A command.
    finally:
        shutil.rmtree(folder / "servers", ignore_errors=True)
        if violated:
            print(f"history: {history_path}\nlogs: {log_path}", flush=True)  # noqa: T201  # A command.
        else:
            shutil.rmtree(folder)
    return int(violated)


async def _storm_and_check(arena: Arena, options: Options, history: History) -> tuple[str, bool]:
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        ledger, watching = Ledger(arena.database_url), Ledger(arena.database_url)
        stack.callback(ledger.close)
        stack.callback(watching.close)
        clients = Clients(session=arena.session, urls=arena.api_urls, secret=arena.token_secret)
        subscribers = Subscribers(clients=clients, history=history, seed=options.seed, count=options.subscribers)
        load = Load(
            clients=clients,
            ledger=watching,
            history=history,
            seed=options.seed,
            orders_per_second=options.orders_per_second,
            on_acknowledged=subscribers.offer,
        )
        nemesis = Nemesis(arena=arena, history=history, seed=options.seed)
        following = asyncio.create_task(subscribers.run())
        stack.callback(following.cancel)
        await _storm(options, nemesis, load)
        subscribers.settle()
        calm = await wait_for_calm(arena, ledger, subscribers.followings, history)
        following.cancel()
        await asyncio.wait([following], timeout=LEAVE_TIMEOUT_SECONDS)
        evidence = await _gather(arena, ledger, load, subscribers, calm)
    violations = check(evidence)
    for violation in violations:
        history.note("violation", invariant=violation.invariant, what=violation.what, subject=violation.subject)
    figures = Figures(
        total_seconds=time.monotonic() - began,
        load_seconds=options.storm_seconds,
        asked_orders=load.asked_orders,
        held_seconds=load.held_seconds,
        crowded_seconds=load.crowded_seconds,
        reconnects=subscribers.reconnects,
        messages=subscribers.messages,
        deaths=arena.deaths,
        crashes=sum(count for name, count in arena.deaths.items() if CRASHED in name),
    )
    report = render(
        options=options, injected=nemesis.injected, figures=figures, evidence=evidence, violations=violations
    )
    return report, bool(violations)


async def _storm(options: Options, nemesis: Nemesis, load: Load) -> None:
    """Load and faults side by side, then the faults taken away."""
    await nemesis.prepare()
    schedule = make_schedule(seed=options.seed, seconds=options.storm_seconds)
    loading = asyncio.create_task(load.run(seconds=options.storm_seconds))
    try:
        async with asyncio.timeout(options.storm_seconds + RAGE_GRACE_SECONDS):
            await nemesis.rage(schedule)
    except TimeoutError:
        pass  # What lasted longer than the storm ends here.
    await nemesis.mend()
    await loading


async def _gather(arena: Arena, ledger: Ledger, load: Load, subscribers: Subscribers, calm: Calm) -> Evidence:
    leftovers = await look_for_leftovers(arena, ledger)
    entries = await read_journal(arena)
    stored = await ledger.read_all()
    return Evidence(
        place_answers=load.place_answers,
        cancel_answers=load.cancel_answers,
        followings=subscribers.followings,
        venue_orders=venue_orders(entries),
        venue_executions=venue_executions(entries),
        orders=stored.orders,
        executions=stored.executions,
        changes=stored.changes,
        sequences=stored.sequences,
        placing_steps=stored.placing_steps,
        leader_steps=stored.leader_steps,
        leftovers=leftovers,
        quiet_seconds=calm.quiet_seconds,
        caught_up_seconds=calm.caught_up_seconds,
    )
