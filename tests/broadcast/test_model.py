"""Each change once and in order, in very many short histories by seed: see `model`."""

import pytest

from tests.broadcast.model import History, changes_of_an_account
from tests.support.thoroughness import examples

HISTORIES = examples(20_000, thorough=100_000)
HISTORIES_WITHOUT_COMPARISON = 2_000


def test_in_a_great_many_histories_every_subscriber_receives_each_change_once_and_in_order(
    pytestconfig: pytest.Config,
) -> None:
    changes = changes_of_an_account()

    for seed in range(pytestconfig.getoption("model_histories") or HISTORIES):
        history = History(changes, seed)
        history.run()
        assert not history.mistakes(), f"seed {seed}: {history.mistakes()}"


def test_without_the_comparison_some_subscribers_end_with_an_old_state_or_the_model_proves_nothing() -> None:
    changes = changes_of_an_account()
    stale = 0

    for seed in range(HISTORIES_WITHOUT_COMPARISON):
        history = History(changes, seed, compares=False)
        history.run()
        stale += bool(history.mistakes())

    assert stale > HISTORIES_WITHOUT_COMPARISON / 100
