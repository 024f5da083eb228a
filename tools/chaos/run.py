"""One run from start to verdict: the arena, the storm, the calm, the check, the report."""

import asyncio
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from tools.chaos.arena import Arena, open_arena
from tools.chaos.arena_settings import LEASE_SECONDS
from tools.chaos.calm import Calm, wait_for_calm
from tools.chaos.checker import check
from tools.chaos.clients import Clients
from tools.chaos.evidence import Evidence, HaltPeriod, Leftover, Pause
from tools.chaos.exchange_faults import ExchangeFaults, usual_faults
from tools.chaos.external_load import ExternalLoad
from tools.chaos.halts import Halts
from tools.chaos.history import History, open_history
from tools.chaos.lag import Lag
from tools.chaos.ledger import Ledger, Stored
from tools.chaos.leftovers import look, look_for_leftovers
from tools.chaos.load import Load
from tools.chaos.nemesis import Nemesis
from tools.chaos.operators import Operator
from tools.chaos.options import Options
from tools.chaos.progress import Progress
from tools.chaos.report import Figures, render
from tools.chaos.request_trail import RequestTrail
from tools.chaos.schedule import WORKERS, make_offsets, make_schedule
from tools.chaos.subscribers import Subscribers
from tools.chaos.truth import Journal
from tools.chaos.violations import Violation

RAGE_GRACE_SECONDS = 1.0
LEAVE_TIMEOUT_SECONDS = 5.0
CRASHED = "exit code 9"
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
        ledger, load_ledger, lag_ledger = (_ledger(arena, stack) for _ in range(3))
        held_before = await look(arena, ledger)
        clients = Clients(urls=arena.api_urls, secret=arena.token_secret)
        stack.callback(clients.connections.close)
        subscribers = Subscribers(clients=clients, history=history, seed=options.seed, count=options.subscribers)
        load = _make_load(options, clients=clients, ledger=load_ledger, history=history, subscribers=subscribers)
        trail, journal = RequestTrail(), Journal()
        halts = Halts(clients=clients, history=history, seed=options.seed)
        nemesis = _make_nemesis(options, arena=arena, history=history, trail=trail, halts=halts)
        operator = Operator(arena=arena, clients=clients, ledger=ledger, journal=journal, history=history, halts=halts)
        external = ExternalLoad(arena=arena, history=history, seed=options.seed)
        progress = Progress(arena=arena, load=load, subscribers=subscribers, nemesis=nemesis, journal=journal)
        following = _begun(subscribers.run(), stack)
        telling = _begun(progress.tell(), stack)
        trailing = _begun(trail.watch(arena), stack)
        placing_external = _begun(external.run(), stack)
        loading = _begun(load.run(seconds=options.storm_seconds), stack)
        await _rage(options, nemesis)
        ended_at = asyncio.get_running_loop().time()
        subscribers.settle()
        lag = Lag(followings=subscribers.followings)
        watching = _begun(lag.watch(lag_ledger), stack)
        await loading
        await _ended(placing_external, telling)
        calm = await wait_for_calm(
            arena, ledger, operator=operator, journal=journal, lag=lag, history=history, ended_at=ended_at
        )
        await _ended(watching, following)
        clients.connections.close()  # The API keeps them for longer than the calm lasts.
        leftovers = await look_for_leftovers(arena, ledger, held_before, ended_at=ended_at)
        checking_began = time.monotonic()
        await _ended(trailing)
        await trail.read_on(arena, is_end=True)
        await journal.read_on(arena)
        stored = await ledger.read_all()
    evidence = _gather(
        load=load,
        subscribers=subscribers,
        journal=journal,
        trail=trail,
        pauses=nemesis.pauses,
        halts=halts.periods,
        stored=stored,
        calm=calm,
        leftovers=leftovers,
    )
    violations = _check_and_note(evidence, history)
    figures = Figures(
        total_seconds=time.monotonic() - began,
        checking_seconds=time.monotonic() - checking_began,
        memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_UNIT_BYTES,
        history_bytes=history.size_bytes,
        load_seconds=options.storm_seconds,
        asked_orders=load.asked_orders,
        held_seconds=load.held_seconds,
        crowded_seconds=load.crowded_seconds,
        reconnects=subscribers.reconnects,
        messages=subscribers.messages,
        deaths=arena.deaths,
        external_orders=journal.external_orders,
        external_executions=journal.external_executions,
        external_fates=external.fates,
        habits={**journal.counts, **Counter(operator.resolved.values())},
        gateway_answers=trail.scripted,
        crashes=sum(count for name, count in arena.deaths.items() if CRASHED in name),
    )
    report = render(
        options=options, injected=nemesis.injected, figures=figures, evidence=evidence, violations=violations
    )
    return report, bool(violations)


def _make_load(
    options: Options, *, clients: Clients, ledger: Ledger, history: History, subscribers: Subscribers
) -> Load:
    return Load(
        clients=clients,
        ledger=ledger,
        history=history,
        seed=options.seed,
        orders_per_second=options.orders_per_second,
        on_acknowledged=subscribers.offer,
    )


def _make_nemesis(options: Options, *, arena: Arena, history: History, trail: RequestTrail, halts: Halts) -> Nemesis:
    usual = usual_faults(habits=options.habits, has_id_check=options.has_id_check)
    exchange = ExchangeFaults(arena=arena, trail=trail, seed=options.seed, usual=usual)
    return Nemesis(arena=arena, history=history, exchange=exchange, halts=halts, seed=options.seed)


def _check_and_note(evidence: Evidence, history: History) -> Sequence[Violation]:
    violations = check(evidence)
    for violation in violations:
        history.note("violation", invariant=violation.invariant, what=violation.what, subject=violation.subject)
    return violations


def _ledger(arena: Arena, stack: AsyncExitStack) -> Ledger:
    ledger = Ledger(arena.database_url)
    stack.callback(ledger.close)
    return ledger


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


def _gather(
    *,
    load: Load,
    subscribers: Subscribers,
    journal: Journal,
    trail: RequestTrail,
    pauses: Sequence[Pause],
    halts: Sequence[HaltPeriod],
    stored: Stored,
    calm: Calm,
    leftovers: Sequence[Leftover],
) -> Evidence:
    ids = {order.venue_client_order_id: order.id for order in stored.orders}
    return Evidence(
        place_answers=load.place_answers,
        cancel_answers=load.cancel_answers,
        followings=subscribers.followings,
        venue_orders=[replace(each, order_id=ids.get(each.order_id, each.order_id)) for each in journal.orders],
        venue_executions=[replace(each, order_id=ids.get(each.order_id, each.order_id)) for each in journal.executions],
        orders=stored.orders,
        executions=[replace(each, execution_id=journal.first_id(each.execution_id)) for each in stored.executions],
        changes=stored.changes,
        sequences=stored.sequences,
        placing_steps=stored.placing_steps,
        leader_steps=stored.leader_steps,
        batches=stored.batches,
        requests=trail.requests,
        lives_cut_short=trail.lives_cut_short,
        pauses=[pause for pause in pauses if pause.process in WORKERS],
        halts=halts,
        lease_seconds=LEASE_SECONDS,
        leftovers=leftovers,
        quiet_seconds=calm.quiet_seconds,
        behind_seconds=calm.behind_seconds,
    )
