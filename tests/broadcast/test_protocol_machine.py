"""The subscription protocol as a state machine: in any order of events, no subscriber receives anything wrong.

For Hypothesis a history is a few bytes for each step: as rules with arguments, most of the time was spent on choosing
them (measured: 4.7 ms for an example of 25 steps, and 2.5 ms for 30 steps with bytes).
"""

import bisect
import itertools
from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.broadcast.protocol_machine import NUMBERS, SubscriptionProtocol
from tests.support.thoroughness import examples

EXAMPLES_OF_AN_EMPHASIS = examples(500, thorough=2_500)
TIMEOUT_SECONDS = 240
"""Two seconds of work, thoroughly ten, and many times that on a machine that has other things to do."""
STEPS_MIN, STEPS_MAX = 25, 35
BYTES_OF_A_STEP = 3
TICKETS = 256

Machine = SubscriptionProtocol
Step = Callable[[Machine, int, int], None]
STEPS: Mapping[Step, tuple[float, Callable[[Machine], object]]] = {
    Machine.let_run: (3, lambda _: True),
    Machine.commit: (4, lambda _: True),
    Machine.hint: (4, lambda machine: machine.hints),
    Machine.lose_hints: (1, lambda _: True),
    Machine.follow_account: (2, Machine.may_follow),
    Machine.follow_order: (2, Machine.may_follow),
    Machine.stall_or_go_on: (2, lambda machine: machine.readers),
    Machine.leave: (1, lambda machine: machine.readers),
    Machine.disconnect_or_restore_the_database: (1, Machine.is_everybody_open),
    Machine.forget_old_changes: (1, lambda _: True),
    Machine.compare: (1, lambda _: True),
}
"""What may come next, with its weight, and when it may. Each takes two numbers below NUMBERS."""

EMPHASES: Mapping[str, Mapping[Step, float]] = {
    "nothing": {},
    "hints that are lost": {Machine.lose_hints: 5, Machine.compare: 3},
    "slow readers of a pruned history": {Machine.stall_or_go_on: 3, Machine.forget_old_changes: 4},
    "a database that comes and goes": {Machine.disconnect_or_restore_the_database: 5, Machine.let_run: 2},
}
"""By what the weights of some steps are multiplied, so that histories are about different things."""


@pytest.mark.timeout(TIMEOUT_SECONDS)
@pytest.mark.parametrize("emphasis", EMPHASES)
@settings(max_examples=EXAMPLES_OF_AN_EMPHASIS, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.binary(min_size=STEPS_MIN * BYTES_OF_A_STEP, max_size=STEPS_MAX * BYTES_OF_A_STEP))
def test_no_order_of_steps_makes_a_subscriber_receive_anything_wrong(emphasis: str, drawn: bytes) -> None:
    machine, history = SubscriptionProtocol(), []
    try:
        for ticket, a, b in zip(*[iter(drawn)] * BYTES_OF_A_STEP, strict=False):
            step = _chosen(machine, ticket, EMPHASES[emphasis])
            history.append(f"{step.__name__}({a % NUMBERS}, {b % NUMBERS})")
            step(machine, a % NUMBERS, b % NUMBERS)
            machine.nobody_receives_anything_wrong()
        machine.come_to_rest()
    except AssertionError as error:
        error.add_note("the history: " + ", ".join(history))
        raise
    finally:
        machine.close()


def _chosen(machine: SubscriptionProtocol, ticket: int, emphasis: Mapping[Step, float]) -> Step:
    """Return the step selected by a byte, among those possible now. Hypothesis shrinks to 0: the first."""
    possible = {step: weight * emphasis.get(step, 1) for step, (weight, may_come) in STEPS.items() if may_come(machine)}
    tickets = list(itertools.accumulate(possible.values()))
    return list(possible)[bisect.bisect(tickets, ticket * tickets[-1] / TICKETS)]
