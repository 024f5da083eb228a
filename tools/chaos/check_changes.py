"""Invariant 4: statuses, versions and sequences. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from tools.chaos.evidence import Evidence, StoredChange
from tools.chaos.violations import Violation


def check_changes(evidence: Evidence) -> Iterator[Violation]:
    """Each status is what the facts derive; versions rise by 1; each account's sequence has no gap."""
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
    for account_id in evidence.sequences.keys() | by_account.keys():
        numbers = sorted(by_account[account_id])
        if numbers != list(range(1, evidence.sequences.get(account_id, 0) + 1)):
            yield Violation(invariant=4, what="the account's sequence has a gap", subject=account_id)
