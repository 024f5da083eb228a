"""Invariant 4: statuses, versions and sequences. Pure.

An ended order becomes live again only by a change of the kind REVIVED, or, where it was FILLED, by a bust, a correction
or a restatement, of the exchange or of an operator. And only REVIVED moves an order that was reported as not at the
exchange, REJECTED or FAILED, to a status that it can only have there.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tools.chaos.check_orders import FINAL
from tools.chaos.evidence import Evidence, StoredChange
from tools.chaos.violations import Violation

REVIVED = "REVIVED"
TAKES_BACK = frozenset({"CORRECTED", "RESOLVED", "RESTATED"})
NOT_THERE = frozenset({"REJECTED", "FAILED"})


def check_changes(evidence: Evidence) -> Iterator[Violation]:
    """Check that statuses follow from the facts, versions rise by 1, and no account's sequence has a gap."""
    by_order: defaultdict[str, list[StoredChange]] = defaultdict(list)
    by_account: defaultdict[str, list[int]] = defaultdict(list)
    for change in evidence.changes:
        by_order[change.order_id].append(change)
        by_account[change.account_id].append(change.sequence)
    for order in evidence.orders:
        if order.status != order.derived_status:
            what = f"status {order.status}, and its facts give {order.derived_status}"
            yield Violation(invariant=4, what=what, subject=order.id)
        history = sorted(by_order[order.id], key=lambda change: change.sequence)
        if [change.version for change in history] != list(range(1, order.version + 1)):
            yield Violation(invariant=4, what="versions do not rise by 1 to the order's own", subject=order.id)
        elif (history[-1].status, history[-1].filled_quantity) != (order.status, order.filled_quantity):
            yield Violation(invariant=4, what="the last change is not the order's state", subject=order.id)
        yield from _check_steps(history)
    for account_id in evidence.sequences.keys() | by_account.keys():
        numbers = sorted(by_account[account_id])
        if numbers != list(range(1, evidence.sequences.get(account_id, 0) + 1)):
            yield Violation(invariant=4, what="the account's sequence has a gap", subject=account_id)


def _check_steps(history: Sequence[StoredChange]) -> Iterator[Violation]:
    for before, after in pairwise(history):
        is_live_again = before.status in FINAL and after.status not in FINAL
        is_there_after_all = before.status in NOT_THERE and after.status not in NOT_THERE
        is_taken_back = before.status == "FILLED" and after.kind in TAKES_BACK
        if after.kind != REVIVED and not is_taken_back and (is_live_again or is_there_after_all):
            what = f"from {before.status} to {after.status} by {after.kind}"
            yield Violation(invariant=4, what=what, subject=after.order_id)
