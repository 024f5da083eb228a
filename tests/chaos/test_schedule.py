"""The injected faults are determined by the seed, and cover everything."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

from exchange.simulator.faults import Faults
from exchange.simulator.instruments import listed_instruments
from runtime.processes.crash_points import NAMES
from tools.chaos.arena_settings import LEASE_SECONDS
from tools.chaos.exchange_faults import NO_FAULTS, USUAL_FAULTS, merged_faults, usual_faults
from tools.chaos.load import plan_order
from tools.chaos.schedule import CRASH_POINTS, PROCESSES, Kind, make_offsets, make_schedule

SEEDS = range(20)


def test_a_seed_injects_the_same_every_time_and_another_seed_something_else() -> None:
    assert make_schedule(seed=1, seconds=60) == make_schedule(seed=1, seconds=60)
    assert make_schedule(seed=1, seconds=60) != make_schedule(seed=2, seconds=60)


def test_a_longer_storm_begins_as_a_shorter_one() -> None:
    short, long = make_schedule(seed=3, seconds=30), make_schedule(seed=3, seconds=60)

    assert list(long[: len(short)]) == list(short)


def test_a_fault_is_injected_every_third_of_a_second_to_two_seconds() -> None:
    for seed in SEEDS:
        schedule = make_schedule(seed=seed, seconds=60)
        pauses = [later.at - earlier.at for earlier, later in pairwise(schedule)]
        assert min(pauses) >= 0.299
        assert max(pauses) <= 2.001
        assert len(schedule) >= 40


def test_a_minute_sees_every_kind_of_fault() -> None:
    for seed in SEEDS:
        kinds = {injection.kind for injection in make_schedule(seed=seed, seconds=60)}
        assert len(kinds) >= len(Kind) - 2, seed


def test_without_an_id_check_no_process_is_paused_beyond_half_its_lease() -> None:
    for seed in SEEDS:
        usual = make_schedule(seed=seed, seconds=60)
        schedule = make_schedule(seed=seed, seconds=60, has_id_check=False)
        pauses = [injection for injection in schedule if injection.kind is Kind.PAUSED_BRIEFLY]

        assert Kind.PAUSED in {injection.kind for injection in usual}
        assert Kind.PAUSED not in {injection.kind for injection in schedule}
        assert pauses
        assert max(pause.seconds for pause in pauses) < LEASE_SECONDS / 2


def test_every_process_and_every_crash_point_is_hit_in_ten_minutes() -> None:
    schedule = make_schedule(seed=5, seconds=600)

    killed = Counter(injection.target for injection in schedule if injection.kind is Kind.KILLED)
    points = {injection.point for injection in schedule if injection.kind is Kind.CRASHED}
    assert set(killed) == set(PROCESSES)
    assert points == set(CRASH_POINTS) == set(NAMES)
    assert len(schedule) >= 400


def test_faults_of_the_exchange_add_up_and_are_taken_away_one_by_one() -> None:
    mute, dropping, down = {"stream": {"mute": True}}, {"stream": {"drop_rate": 0.3}}, {"down": True}

    all_at_once = merged_faults(USUAL_FAULTS, [mute, dropping, down])
    without_mute = merged_faults(USUAL_FAULTS, [dropping, down])

    assert all_at_once["down"]
    assert (all_at_once["stream"]["mute"], all_at_once["stream"]["drop_rate"]) == (True, 0.3)
    assert (without_mute["stream"]["mute"], without_mute["stream"]["drop_rate"]) == (False, 0.3)
    assert merged_faults(USUAL_FAULTS, []) == USUAL_FAULTS


def test_every_clock_is_off_by_the_seed_each_by_its_own_time() -> None:
    offsets = make_offsets(seed=3, seconds_max=90)

    assert offsets == make_offsets(seed=3, seconds_max=90)
    assert offsets.keys() == {"exchange", *PROCESSES}
    assert len(set(offsets.values())) == len(offsets)
    assert all(30 <= abs(seconds) <= 90 for seconds in offsets.values())
    assert set(make_offsets(seed=3, seconds_max=0).values()) == {0}


def test_the_exchange_accepts_every_rate_and_amends_nothing_once_the_faults_have_ended() -> None:
    usual = Faults().changed(usual_faults(habits=1, has_id_check=True))
    twice = Faults().changed(usual_faults(habits=2, has_id_check=True))

    assert not usual.habits.are_off
    assert twice.habits.bust_rate == 2 * usual.habits.bust_rate
    assert twice.habits.within_ms == usual.habits.within_ms
    assert Faults().changed(usual_faults(habits=0, has_id_check=True)).habits.are_off
    assert usual.changed(NO_FAULTS).habits.are_off
    assert usual.changed(NO_FAULTS).stream == Faults().stream


def test_an_exchange_that_checks_no_ids_forgets_no_order() -> None:
    assert usual_faults(habits=1, has_id_check=True)["habits"]["forget_rate"] > 0
    assert usual_faults(habits=1, has_id_check=False)["habits"]["forget_rate"] == 0


def test_a_day_ends_several_times_in_ten_minutes() -> None:
    for seed in SEEDS:
        kinds = Counter(injection.kind for injection in make_schedule(seed=seed, seconds=600))
        assert kinds[Kind.DAY_ENDED] >= 10, seed


def test_an_order_of_the_load_follows_from_the_seed_and_its_number() -> None:
    plan, again, other = (plan_order(seed=1, number=number) for number in (17, 17, 18))

    assert (plan.account_id, plan.input, plan.cancel_after) == (again.account_id, again.input, again.cancel_after)
    assert plan.input["clientOrderId"] != other.input["clientOrderId"]


def test_the_load_buys_and_sells_with_every_time_in_force_and_some_of_each_rests() -> None:
    inputs = [plan_order(seed=1, number=number).input for number in range(1_000)]

    assert {order["side"] for order in inputs} == {"BUY", "SELL"}
    assert {order["timeInForce"] for order in inputs} == {"DAY", "GTC", "IOC", "FOK"}
    assert {(order["side"], _is_above_the_market(order)) for order in inputs if order["type"] == "LIMIT"} == {
        ("BUY", True),
        ("BUY", False),
        ("SELL", True),
        ("SELL", False),
    }


def _is_above_the_market(order: dict[str, str]) -> bool:
    prices = {each.isin: each.reference_price for each in listed_instruments()}
    return Decimal(order["limitPrice"]) > prices[order["isin"]]
