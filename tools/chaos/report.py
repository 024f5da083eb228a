"""The report of a run: the injected faults, the checks, the figures, the verdict, and how to repeat it. Pure."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tools.chaos.check_submissions import count_submissions
from tools.chaos.checker import INVARIANTS
from tools.chaos.evidence import Evidence, Leftover
from tools.chaos.options import Options
from tools.chaos.schedule import Kind
from tools.chaos.violations import Violation

EXAMPLES_MAX = 8
MEGABYTE = 1_000_000
NUMBER = re.compile(r"[- ]\d+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of the run. `deaths` counts ends of processes by name and cause, `reconnects` those of
    subscribers.
    """

    total_seconds: float
    checking_seconds: float
    memory_bytes: int
    history_bytes: int
    load_seconds: float
    asked_orders: int
    held_seconds: float
    crowded_seconds: float
    reconnects: int
    messages: int
    external_orders: int
    external_executions: int
    external_fates: Mapping[str, int]
    habits: Mapping[str, int]
    gateway_answers: Mapping[str, int]
    deaths: Mapping[str, int]
    crashes: int


def render(
    *,
    options: Options,
    injected: Mapping[Kind, int],
    figures: Figures,
    evidence: Evidence,
    violations: Sequence[Violation],
) -> str:
    """Return the whole report."""
    parts = [
        *_injected(injected, figures),
        "",
        *_reached(options, figures, evidence),
        "",
        *_checked(violations),
        "",
        *_verdict(options, violations),
    ]
    return "\n".join(parts)


def _injected(injected: Mapping[Kind, int], figures: Figures) -> Iterator[str]:
    yield f"injected: {sum(injected.values())} faults, {sum(figures.deaths.values())} deaths of processes"
    for kind in Kind:
        yield f"  {injected.get(kind, 0):5}  {kind.value}"
    yield f"  {figures.crashes:5}  crash points reached"


def _reached(options: Options, figures: Figures, evidence: Evidence) -> Iterator[str]:
    outcomes = Counter(str(answer.outcome) for answer in evidence.place_answers)
    acknowledged = len({answer.order_id for answer in evidence.place_answers if answer.outcome == "ok"})
    statuses = Counter(order.status for order in evidence.orders)
    rate = figures.asked_orders / figures.load_seconds
    yield f"reached: {figures.asked_orders} orders asked for, {rate:.0f}/s of {options.orders_per_second:g}/s wanted"
    yield f"  of {figures.load_seconds:.0f} s the load waited {figures.held_seconds:.1f} s: too many orders due,"
    yield f"  and {figures.crowded_seconds:.1f} s: too many requests open"
    yield f"  {acknowledged} orders acknowledged; answers: {_counts(outcomes)}"
    yield f"  {len(evidence.orders)} orders stored: {_counts(statuses)}"
    yield f"  {len(evidence.venue_orders)} orders and {len(evidence.venue_executions)} executions at the exchange"
    yield (
        f"  {figures.external_orders} external orders and {figures.external_executions} executions of them: "
        f"{_counts(figures.external_fates)}"
    )
    yield f"  the exchange took back or changed: {_counts(figures.habits)}"
    yield f"  {len(evidence.halts)} halts of accounts"
    yield from _submitted(options, evidence)
    yield f"  a gateway answered in place of the exchange: {_counts(figures.gateway_answers) or 'nothing'}"
    yield f"  {len(evidence.changes)} changes, {len(evidence.cancel_answers)} cancels asked for"
    yield (
        f"  {options.subscribers} subscribers, {len(evidence.followings)} streams, {figures.messages} messages, "
        f"{figures.reconnects} reconnects"
    )
    yield (
        f"  quiet {_seconds(evidence.quiet_seconds)} after the last fault; since then no subscriber lacked a change "
        f"for longer than {_seconds(evidence.behind_seconds)}"
    )
    yield f"  left: {_left(evidence.leftovers)}"
    yield (
        f"  {figures.total_seconds:.0f} s in all, {figures.checking_seconds:.1f} s of them to read and check; "
        f"{figures.memory_bytes / MEGABYTE:.0f} MB of memory, {figures.history_bytes / MEGABYTE:.0f} MB of history"
    )


def _submitted(options: Options, evidence: Evidence) -> Iterator[str]:
    counts = count_submissions(evidence)
    look_ups = len(evidence.requests) - counts.submissions
    ids = Counter(order.order_id for order in evidence.venue_orders)
    doubles = sum(count > 1 for count in ids.values())
    check = "on" if options.has_id_check else "off"
    yield (
        f"  {counts.submissions} submissions and {look_ups} look-ups at the exchange, whose id check is {check}: "
        f"{doubles} orders are there twice"
    )
    yield (
        f"  {counts.repeated} submissions repeated an id: {counts.after_absence} after a look-up that showed absence, "
        f"{counts.excused} after a pause beyond half a lease, {len(counts.bare)} after neither, "
        f"{counts.not_judged} not judged"
    )


def _left(leftovers: Sequence[Leftover]) -> str:
    """Return each kind once: the highest count of one process, among the allowed."""
    kinds: dict[str, Leftover] = {}
    for each in leftovers:
        kind = NUMBER.sub("", each.name)
        kinds[kind] = max(kinds.get(kind, each), each, key=lambda leftover: leftover.value)
    return ", ".join(f"{kind} {each.value:g} of {each.allowed:g}" for kind, each in kinds.items())


def _checked(violations: Sequence[Violation]) -> Iterator[str]:
    found: defaultdict[int, list[Violation]] = defaultdict(list)
    for violation in violations:
        found[violation.invariant].append(violation)
    yield "checked:"
    for number, (sentence, _) in enumerate(INVARIANTS, start=1):
        count = len(found[number])
        yield f"  {'ok  ' if not count else 'FAIL'}  {number}. {sentence}" + (f": {count} violations" if count else "")
        for violation in found[number][:EXAMPLES_MAX]:
            yield f"          {violation.subject}: {violation.what}{violation.detail and f' ({violation.detail})'}"


def _verdict(options: Options, violations: Sequence[Violation]) -> Iterator[str]:
    if options.must_violate:
        name = "The naive worker" if options.sabotage is None else f"The sabotage {options.sabotage}"
        yield (
            f"{name} violates what Fillwire promises, {len(violations)} times: this run finds faults."
            if violations
            else f"{name} violates nothing: this run proves nothing."
        )
    else:
        yield f"{len(violations)} violations." if violations else "No violation."
    yield f"seed {options.seed}; again: {options.command}"


def _counts(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items()))


def _seconds(seconds: float | None) -> str:
    return "too long" if seconds is None else f"{seconds:.1f} s"
