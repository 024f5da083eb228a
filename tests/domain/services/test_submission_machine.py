"""The submission protocol as a state machine: several workers, crashes, pauses, any answers of the venue.

After every step: an order is at the venue once at most, it is not sent while an earlier answer is unsettled, we end it
only when the venue does not have it, versions increase by one, and whatever has not ended is due. And after all faults
have ended, every order ends and both sides agree.

Twice: by Hypothesis, which shrinks its findings, and by plain seeds. For Hypothesis a history is a few bytes for each
step. As rules with arguments, four fifths of the time was spent on choosing them: 6.4 ms for an example of 30 steps,
compared with 2.2 ms.
"""

import bisect
import itertools
import random
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.domain.services.submission_steps import Steps
from tests.support.thoroughness import examples

EXAMPLES_OF_AN_EMPHASIS = examples(500, thorough=2_500)
TIMEOUT_SECONDS = 240
"""Two seconds of work, thoroughly ten, and many times that on a machine that has other things to do."""
HISTORIES = examples(2_000, thorough=10_000)
HISTORIES_PER_TEST = 1_000
STEPS_MIN, STEPS_MAX = 25, 35
NUMBERS = 12
"""How many values each of a step's two numbers may have."""

Step = Callable[[Steps, int, int], None]
STEPS: Mapping[str, tuple[float, Step]] = {
    "wake": (6, lambda steps, a, b: steps.wake(a, pause=b)),
    "sweep": (4, lambda steps, a, b: steps.sweep(a, pause=b)),
    "pass_time": (6, lambda steps, a, _: steps.pass_time(a)),
    "answer_placement": (8, lambda steps, a, b: steps.answer_placement(a, how=b)),
    "answer_look_up": (6, lambda steps, a, b: steps.answer_look_up(a, how=b)),
    "arrive": (6, lambda steps, a, b: steps.arrive(a, is_hidden=b % 2 == 1)),
    "go_on": (4, lambda steps, a, b: steps.go_on(a, is_database_there=b % 2 == 1)),
    "die": (1.5, lambda steps, a, _: steps.die(a)),
    "cancel": (0.6, lambda steps, a, _: steps.cancel(a)),
    "deliver_cancels": (1, lambda steps, _a, _b: steps.deliver_cancels()),
    "reject_later": (0.4, lambda steps, a, _: steps.reject_later(a)),
    "tell": (1, lambda steps, a, b: steps.tell(a, fills=b % 2 == 1)),
    "store": (1, lambda steps, _a, _b: steps.store_order()),
}
"""What may come next, with its weight. Each takes two numbers below NUMBERS."""

EMPHASES: Mapping[str, Mapping[str, float]] = {
    "nothing": {},
    "workers that die and stand still": {"die": 5, "go_on": 3, "sweep": 3},
    "answers and look-ups": {"answer_placement": 3, "answer_look_up": 3, "pass_time": 2, "sweep": 3},
    "cancels and what the stream tells": {"cancel": 8, "deliver_cancels": 4, "tell": 5, "reject_later": 5},
}
"""By what the weights of some steps are multiplied, so that histories are about different things."""
FACTORS = (0.1, 1, 1, 4)
"""By what a seed's own weights are multiplied."""
BYTES_OF_A_STEP = 3
TICKETS = 256

History = Sequence[tuple[str, int, int]]


@pytest.mark.timeout(TIMEOUT_SECONDS)
@pytest.mark.parametrize("emphasis", EMPHASES)
@settings(max_examples=EXAMPLES_OF_AN_EMPHASIS, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=st.binary(min_size=STEPS_MIN * BYTES_OF_A_STEP, max_size=STEPS_MAX * BYTES_OF_A_STEP))
def test_no_order_of_steps_loses_an_order_or_places_it_twice(emphasis: str, drawn: bytes) -> None:
    _live_through(_history(drawn, EMPHASES[emphasis]))


@pytest.mark.parametrize("first", range(0, HISTORIES, HISTORIES_PER_TEST))
def test_in_any_history_no_order_is_lost_or_placed_twice(first: int) -> None:
    for seed in range(first, first + HISTORIES_PER_TEST):
        chance = random.Random(seed)
        weights = [weight * chance.choice(FACTORS) for weight, _ in STEPS.values()]
        names = chance.choices(list(STEPS), weights, k=STEPS_MAX)
        _live_through([(name, chance.randrange(NUMBERS), chance.randrange(NUMBERS)) for name in names])


def _history(drawn: bytes, emphasis: Mapping[str, float]) -> History:
    """For each step a byte that is a ticket for it, and its two numbers. Hypothesis shrinks to 0: `store`."""
    weights = {name: weight * emphasis.get(name, 1) for name, (weight, _) in reversed(list(STEPS.items()))}
    tickets = list(itertools.accumulate(weights.values()))
    names, steps = list(weights), zip(*[iter(drawn)] * BYTES_OF_A_STEP, strict=False)
    return [
        (names[bisect.bisect(tickets, ticket * tickets[-1] / TICKETS)], a % NUMBERS, b % NUMBERS)
        for ticket, a, b in steps
    ]


def _live_through(history: History) -> None:
    steps = Steps()
    try:
        for name, a, b in history:
            STEPS[name][1](steps, a, b)
            steps.check()
        steps.calm()
    except AssertionError as error:
        error.add_note("the history: " + ", ".join(f"{name}({a}, {b})" for name, a, b in history))
        raise
    finally:
        steps.world.close()
