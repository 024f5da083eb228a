"""What the benchmarks make of their samples: ratios round by round, and what counts as worse."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from benchmarks.frame import expected
from benchmarks.frame.bench import Bench, Contender
from benchmarks.frame.plot import draw
from benchmarks.frame.results import Ratio, Rounds, Sample, StageResult

UNIT = "orders/s"


def some_rounds(*, ours: list[float], limit: list[float]) -> Rounds:
    """Two contenders, measured round by round."""
    rounds = Rounds()
    for mine, theirs in zip(ours, limit, strict=True):
        rounds.note("ours", {UNIT: mine})
        rounds.note("limit", {UNIT: theirs})
    return rounds


def with_ratio(*samples: float, is_at_most: bool = False) -> StageResult:
    """Return the result of a stage that has one ratio."""
    return StageResult(ratios=[Ratio(name="of the limit", samples=samples, target=1.0, is_at_most=is_at_most)])


def test_a_ratio_is_taken_within_each_round_so_that_a_slow_minute_cancels_out() -> None:
    rounds, result = some_rounds(ours=[100, 10, 50], limit=[200, 20, 100]), StageResult()

    result.compare("of the limit", (rounds, "ours"), (rounds, "limit"), UNIT, at_least=0.5)

    (ratio,) = result.ratios
    assert list(ratio.samples) == [0.5, 0.5, 0.5]
    assert ratio.spread == 0
    assert ratio.is_reached


def test_a_peer_that_collapses_is_no_division_by_zero() -> None:
    rounds, result = some_rounds(ours=[100], limit=[0]), StageResult()

    result.compare("times the peer", (rounds, "ours"), (rounds, "limit"), UNIT, at_least=10)

    assert result.ratios[0].median == 100


@pytest.mark.parametrize(
    ("is_at_most", "now", "is_worse"),
    [(False, 0.5, False), (False, 0.38, False), (False, 0.36, True), (True, 0.67, False), (True, 0.68, True)],
)
def test_a_ratio_is_worse_when_it_is_beyond_the_stored_one_by_more_than_a_third(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_at_most: bool, now: float, is_worse: bool
) -> None:
    monkeypatch.setattr(expected, "FILE", tmp_path / "expected.json")
    expected.keep({"accept": with_ratio(0.5, is_at_most=is_at_most)}, form="short")

    worse = list(expected.compare("accept", with_ratio(now, is_at_most=is_at_most), form="short"))

    assert bool(worse) is is_worse


def test_a_ratio_that_was_noisy_when_stored_may_differ_by_that_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expected, "FILE", tmp_path / "expected.json")
    expected.keep({"accept": with_ratio(0.3, 0.5, 0.8)}, form="short")

    assert not list(expected.compare("accept", with_ratio(0.3), form="short"))
    assert not list(expected.compare("accept", with_ratio(0.01), form="full"))


@pytest.mark.parametrize(("now", "is_worse"), [(249.0, False), (251.0, True)])
def test_an_absolute_figure_is_compared_only_with_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, now: float, is_worse: bool
) -> None:
    monkeypatch.setattr(expected, "FILE", tmp_path / "expected.json")
    expected.keep({"deliver": StageResult(ratios=[milliseconds(2.0)])}, form="short")

    worse = list(expected.compare("deliver", StageResult(ratios=[milliseconds(now)]), form="short"))

    assert bool(worse) is is_worse


def milliseconds(value: float) -> Ratio:
    """Return a figure that depends on the machine, and has a target."""
    return Ratio(name="p99 ms", samples=[value], target=250, is_at_most=True, is_absolute=True)


async def test_contenders_alternate_and_every_other_round_is_reversed(tmp_path: Path) -> None:
    turns: list[str] = []

    def contender(name: str) -> Contender:
        async def work() -> Sample:
            turns.append(name)
            return {UNIT: float(len(turns))}

        return work

    bench = Bench(rounds=2, seconds=0.0, is_short=True, folder=tmp_path, stack=AsyncExitStack())

    rounds = await bench.take_turns({"a": contender("a"), "b": contender("b")})

    assert turns == ["a", "b", "a", "b", "b", "a"]
    assert rounds.samples("a", UNIT) == [3.0, 6.0]


def test_the_picture_shows_every_ratio_with_a_target() -> None:
    picture = draw(
        {"accept": with_ratio(0.5, 2.0, 9.0), "record": StageResult(ratios=[Ratio(name="told", samples=[1])])}
    )

    assert picture.startswith("<svg")
    assert "accept: of the limit" in picture
    assert "told" not in picture
