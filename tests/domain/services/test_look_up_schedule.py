"""Which orders a run looks up."""

from datetime import UTC, datetime, timedelta
from functools import partial

from domain.services.look_up_schedule import LookUpPolicy

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def a_policy(*, per_run_max: int) -> LookUpPolicy:
    """Return a policy under which an order is due again at the next run, a second later."""
    return LookUpPolicy(per_run_max=per_run_max, run_within=30 * SECOND, first_pause=SECOND, pause_max=SECOND)


def test_every_order_is_looked_up_though_older_ones_are_due_again_at_each_run() -> None:
    policy = a_policy(per_run_max=2)
    schedule, looked_up = policy.new_schedule(), set[str]()

    for now in (NOW + second * SECOND for second in range(4)):
        for name in policy.run(schedule, ["a", "b", "c", "d", "e"], clock=partial(_same, now)):
            schedule.put_off(name, now=now)
            looked_up.add(name)

    assert looked_up == {"a", "b", "c", "d", "e"}


def test_an_order_is_looked_up_again_though_each_run_brings_more_new_ones_than_it_takes() -> None:
    policy = a_policy(per_run_max=2)
    schedule, looked_up = policy.new_schedule(), list[str]()
    schedule.put_off("old", now=NOW - SECOND)

    for now in (NOW + second * SECOND for second in range(3)):
        new = [f"{now}-{number}" for number in range(4)]
        for name in policy.run(schedule, [*new, "old"], clock=partial(_same, now)):
            schedule.put_off(name, now=now)
            looked_up.append(name)

    assert looked_up.count("old") == 3


def test_orders_that_were_never_looked_up_come_in_the_order_in_which_they_are_given() -> None:
    policy = a_policy(per_run_max=3)

    assert list(policy.run(policy.new_schedule(), ["c", "a", "b", "d"], clock=lambda: NOW)) == ["c", "a", "b"]


def test_an_order_whose_pause_has_not_passed_is_not_looked_up() -> None:
    policy = a_policy(per_run_max=3)
    schedule = policy.new_schedule()
    schedule.put_off("a", now=NOW)

    assert list(policy.run(schedule, ["a", "b"], clock=lambda: NOW)) == ["b"]


def _same(now: datetime) -> datetime:
    return now
