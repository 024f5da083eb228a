"""Invariants 1 to 3: acknowledged orders, the exchange's orders, the executions. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from decimal import Decimal

from tools.chaos.check_submissions import check_submissions
from tools.chaos.evidence import Evidence, StoredExecution, StoredOrder, VenueExecution, VenueOrder
from tools.chaos.violations import Violation

FINAL = frozenset({"FILLED", "CANCELED", "EXPIRED", "REJECTED", "FAILED"})
NEVER_THERE = frozenset({"FAILED", "CANCELED", "REJECTED"})
"""How an order may end that the exchange never accepted."""
BY_END = {
    "filled": frozenset({"FILLED"}),
    "canceled": frozenset({"CANCELED"}),
    "expired": frozenset({"EXPIRED"}),
    "rejected": frozenset({"REJECTED"}),
}
OPEN_THERE = frozenset({"PLACED", "PARTIALLY_FILLED", "PENDING_CANCEL"})
SHORT = frozenset({"PLACED", "PARTIALLY_FILLED"})
"""How an order stands that the exchange calls filled and of which it took executions back: by what is filled."""
NOT_TOLD = OPEN_THERE | {"IN_DOUBT"}
"""How an order may stay that the exchange has forgotten: as it was last told of, and never as over."""


def check_acknowledged(evidence: Evidence) -> Iterator[Violation]:
    """Check that every acknowledged order exists once, under the id of its answer; any other not at all or once."""
    stored = {(order.account_id, order.client_order_id): order.id for order in evidence.orders}
    counts = Counter((order.account_id, order.client_order_id) for order in evidence.orders)
    asked = {(answer.account_id, answer.client_order_id) for answer in evidence.place_answers}
    for key, count in counts.items():
        if count > 1:
            yield Violation(invariant=1, what=f"exists {count} times", subject=key[1])
        if key not in asked:
            yield Violation(invariant=1, what="exists, and nobody asked for it", subject=key[1])
    first_answers: Counter[tuple[str, str]] = Counter()
    for answer in evidence.place_answers:
        key = (answer.account_id, answer.client_order_id)
        if answer.outcome != "ok":
            continue
        if key not in stored:
            yield Violation(invariant=1, what="acknowledged and lost", subject=answer.client_order_id)
        elif stored[key] != answer.order_id:
            yield Violation(invariant=1, what="acknowledged under another id", subject=answer.client_order_id)
        first_answers[key] += not answer.replayed
        if first_answers[key] > 1 and not answer.replayed:
            yield Violation(invariant=1, what="called new twice", subject=answer.client_order_id)


def check_exchange(evidence: Evidence) -> Iterator[Violation]:
    """Check that each order is at the exchange once at most, known on both sides, with the same terms, ended on
    both sides or on neither, and never sent twice without a look-up in between.
    """
    ours = {order.id: order for order in evidence.orders}
    for order_id, count in Counter(order.order_id for order in evidence.venue_orders).items():
        if count > 1:
            yield Violation(invariant=2, what=f"accepted {count} times by the exchange", subject=order_id)
        if order_id not in ours:
            yield Violation(invariant=2, what="at the exchange and unknown here", subject=order_id)
    theirs = {order.order_id: order for order in evidence.venue_orders}
    for order in evidence.orders:
        yield from _compare(order, theirs.get(order.id))
    yield from check_submissions(evidence)


def _compare(order: StoredOrder, there: VenueOrder | None) -> Iterator[Violation]:
    if there is None:
        if order.status not in NEVER_THERE:
            what = f"{order.status} here and unknown at the exchange"
            yield Violation(invariant=2, what=what, subject=order.id)
        return
    if there.is_forgotten and order.venue_order_id is None:
        # Its acceptance was never reported here: it is absent at the exchange, like one that never arrived.
        if order.status not in NEVER_THERE | NOT_TOLD:
            yield Violation(invariant=2, what=f"{order.status} here and forgotten at the exchange", subject=order.id)
        return
    if order.status not in _right_statuses(there):
        known = ", which has forgotten it" if there.is_forgotten else ""
        what = f"{order.status} here and {there.end or 'open'} at the exchange{known}"
        yield Violation(invariant=2, what=what, subject=order.id)
    if (order.symbol, order.quantity) != (there.symbol, there.quantity) and not there.is_forgotten:
        what = f"{order.quantity} {order.symbol} here and {there.quantity} {there.symbol} at the exchange"
        yield Violation(invariant=2, what=what, subject=order.id)
    if order.venue_order_id != there.venue_order_id:
        yield Violation(invariant=2, what="known under another venue order id", subject=order.id)


def _right_statuses(there: VenueOrder) -> AbstractSet[str]:
    if there.is_short:
        right: AbstractSet[str] = SHORT
    else:
        right = OPEN_THERE if there.end is None else BY_END.get(there.end, FINAL)
    return right | NOT_TOLD if there.is_forgotten else right


def check_executions(evidence: Evidence) -> Iterator[Violation]:
    """Check that the executions here are the journal's, as sets, with exact quantities, prices and sums.

    One that was busted is none, on either side.
    """
    theirs = {each.execution_id: _content(each) for each in evidence.venue_executions if each.quantity}
    ours = {each.execution_id: _content(each) for each in evidence.executions if each.quantity}
    counts = Counter(each.execution_id for each in evidence.executions if each.quantity)
    for execution_id, count in counts.items():
        if count > 1:
            yield Violation(invariant=3, what=f"execution counts {count} times", subject=ours[execution_id][0])
    for execution_id in theirs.keys() - ours.keys():
        yield _execution_violation("execution missed", execution_id, theirs[execution_id])
    for execution_id in ours.keys() - theirs.keys():
        yield _execution_violation("execution made up", execution_id, ours[execution_id])
    for execution_id in ours.keys() & theirs.keys():
        if ours[execution_id] != theirs[execution_id]:
            yield _execution_violation("execution differs", execution_id, ours[execution_id])
    yield from _check_sums(evidence)


def _execution_violation(what: str, execution_id: str, content: tuple[str, Decimal, Decimal]) -> Violation:
    order_id, quantity, price = content
    return Violation(invariant=3, what=what, subject=order_id, detail=f"{execution_id}: {quantity} at {price}")


def _content(execution: VenueExecution | StoredExecution) -> tuple[str, Decimal, Decimal]:
    return execution.order_id, execution.quantity, execution.price


def _check_sums(evidence: Evidence) -> Iterator[Violation]:
    quantities: defaultdict[str, Decimal] = defaultdict(Decimal)
    notionals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in evidence.venue_executions:
        quantities[each.order_id] += each.quantity
        notionals[each.order_id] += each.quantity * each.price
    for order in evidence.orders:
        if order.filled_quantity != quantities[order.id]:
            yield Violation(invariant=3, what="filled quantity is not the sum", subject=order.id)
        if order.notional != notionals[order.id]:
            yield Violation(invariant=3, what="notional is not the sum", subject=order.id)
