"""Invariant 7: nothing due is left, and no key, connection or task leaks. Pure."""

from collections.abc import Iterator

from tools.chaos.check_orders import FINAL
from tools.chaos.evidence import Evidence
from tools.chaos.violations import Violation

QUIET_WITHIN_SECONDS = 30.0
JOB_KEYS = "keys saq:"
UNDECIDED = frozenset({"PENDING", "IN_DOUBT"})


def check_leftovers(evidence: Evidence) -> Iterator[Violation]:
    """Check that all work is done, except for orders that the exchange has forgotten, and that all resources are
    released.
    """
    if evidence.quiet_seconds is None or evidence.quiet_seconds > QUIET_WITHIN_SECONDS:
        yield Violation(invariant=7, what=f"not quiet within {QUIET_WITHIN_SECONDS:g} s", subject="the system")
    excused = {order.order_id for order in evidence.venue_orders if order.is_forgotten}
    # A cancel of what the exchange calls filled is refused there.
    short = {order.order_id for order in evidence.venue_orders if order.is_short}
    canceling = {answer.order_id for answer in evidence.cancel_answers if answer.outcome == "ok"}
    waits = False
    for order in evidence.orders:
        if order.id in excused:
            waits = waits or order.is_due or order.is_cancel_due
            continue
        if order.is_due or order.status in UNDECIDED:
            yield Violation(invariant=7, what=f"{order.status}, still to be placed", subject=order.id)
        if order.is_cancel_due or (order.id in canceling - short and order.status not in FINAL):
            yield Violation(invariant=7, what=f"{order.status}, still to be canceled", subject=order.id)
    for leftover in evidence.leftovers:
        # Due work of a forgotten order is retried permanently: there may be jobs of it at any time.
        if leftover.value > leftover.allowed and not (waits and leftover.name.startswith(JOB_KEYS)):
            what = f"{leftover.name}: {leftover.value:g}, allowed are {leftover.allowed:g}"
            yield Violation(invariant=7, what=what, subject=leftover.name)
