"""Faults repeat by their seed and hit at their rates."""

import pytest

from exchange.simulator.faults import NO_FAULTS, FaultDice, Faults, PlacementAnswer, StreamFaults
from exchange.simulator.settings_changes import SettingInvalidError

DRAWS = 20_000


def test_by_default_each_placement_takes_half_a_second_and_one_in_ten_is_refused() -> None:
    faults = Faults()
    dice = FaultDice(faults.seed)

    refused = sum(dice.draw_placement(faults).is_refused for _ in range(DRAWS))

    assert faults.latency_ms == 500
    assert refused / DRAWS == pytest.approx(0.1, abs=0.01)


def test_the_same_seed_has_the_same_results() -> None:
    faults = NO_FAULTS.changed({"refuse_rate": 0.2, "error_rate": 0.2, "ambiguous_rate": 0.3, "reject_rate": 0.1})
    one, other = FaultDice(7), FaultDice(7)

    assert [one.draw_placement(faults) for _ in range(500)] == [other.draw_placement(faults) for _ in range(500)]


def test_changing_one_rate_does_not_change_whom_the_others_hit() -> None:
    rejecting = NO_FAULTS.changed({"reject_rate": 0.3})
    also_refusing = rejecting.changed({"refuse_rate": 0.5})
    one, other = FaultDice(7), FaultDice(7)

    assert [one.draw_placement(rejecting).is_rejected_later for _ in range(500)] == [
        other.draw_placement(also_refusing).is_rejected_later for _ in range(500)
    ]


def test_ambiguous_placements_are_dropped_answered_wrongly_or_late() -> None:
    faults = NO_FAULTS.changed({"ambiguous_rate": 1})
    dice = FaultDice(1)

    answers = {dice.draw_placement(faults).answer for _ in range(200)}

    assert answers == {
        PlacementAnswer.DROPPED,
        PlacementAnswer.ERROR_500,
        PlacementAnswer.ERROR_504,
        PlacementAnswer.LATE,
    }


def test_errors_before_acceptance_have_every_gateway_status() -> None:
    faults = NO_FAULTS.changed({"error_rate": 1})
    dice = FaultDice(1)

    assert {dice.draw_placement(faults).error_status for _ in range(200)} == {500, 502, 503, 504}


def test_a_change_keeps_unnamed_values() -> None:
    faults = Faults(hide_seconds=3, stream=StreamFaults(drop_rate=0.1))

    changed = faults.changed({"seed": 9, "stream": {"mute": True}})

    assert changed == Faults(seed=9, hide_seconds=3, stream=StreamFaults(drop_rate=0.1, mute=True))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"refuse_rat": 0.1}, "refuse_rat"),
        ({"refuse_rate": 1.5}, "refuse_rate"),
        ({"refuse_rate": "0.1"}, "refuse_rate"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"latency_ms": True}, "latency_ms"),
        ({"seed": 1.5}, "seed"),
        ({"down": 1}, "down"),
        ({"stream": {"drop": 1}}, "stream.drop"),
        ({"stream": {"drop_rate": 2}}, "stream.drop_rate"),
        ({"stream": True}, "stream"),
        ([], "the body"),
    ],
)
def test_a_wrong_change_is_refused_by_the_name_of_its_key(changes: object, key: str) -> None:
    with pytest.raises(SettingInvalidError, match=f"^{key} "):
        Faults().changed(changes)
