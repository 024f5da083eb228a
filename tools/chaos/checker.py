"""Checks a run: the eight invariants over its records. Pure."""

from collections.abc import Callable, Iterator, Sequence

from tools.chaos.check_changes import check_changes
from tools.chaos.check_deliveries import check_deliveries
from tools.chaos.check_halts import check_halts
from tools.chaos.check_leftovers import check_leftovers
from tools.chaos.check_orders import check_acknowledged, check_exchange, check_executions
from tools.chaos.check_writers import check_writers
from tools.chaos.evidence import Evidence
from tools.chaos.violations import Violation

INVARIANTS: Sequence[tuple[str, Callable[[Evidence], Iterator[Violation]]]] = (
    ("every acknowledged order exists once, any other at most once", check_acknowledged),
    (
        "each order is at the exchange once at most, sent again only when absent, with the same terms and end",
        check_exchange,
    ),
    ("the executions are the exchange's after all busts and corrections, with exact sums", check_executions),
    ("statuses follow from facts, versions rise by 1, sequences have no gap", check_changes),
    ("each subscriber saw each change once, in order, to the end", check_deliveries),
    ("one attempt at a time under a lease, none by an older attempt or leader", check_writers),
    ("nothing due is left, nothing leaks", check_leftovers),
    ("nothing is placed in a halted account", check_halts),
)


def check(evidence: Evidence) -> Sequence[Violation]:
    """Return every violation, by invariant."""
    return [violation for _, find in INVARIANTS for violation in find(evidence)]
