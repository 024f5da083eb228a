"""The ratios stored in the repository, and whether those of a run are worse than them beyond the noise."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.frame.results import Ratio, StageResult

FILE = Path(__file__).parents[1] / "expected.json"
NOISE_MIN = 0.35
"""Less than a third is never taken for a regression: the same code differed by a quarter from run to run, on two shared
cores that nobody else used."""

Kept = dict[str, dict[str, dict[str, dict[str, float]]]]
"""For each form of a run (full, short) and stage: each ratio's value and the spread that it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worse:
    """A ratio that has become worse."""

    stage: str
    ratio: Ratio
    expected: float
    bound: float

    def __str__(self) -> str:
        return (
            f"{self.stage}, {self.ratio.name}: {self.ratio.median:.3g}, where {self.expected:.3g} was kept "
            f"and {self.bound:.3g} is the bound"
        )


def read(*, form: str) -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    """Return the stored ratios for that form of a run, by stage and ratio."""
    return _read_file().get(form, {})


def keep(results: Mapping[str, StageResult], *, form: str) -> None:
    """Store the ratios of these stages in place of their old ones."""
    kept = _read_file()
    for stage, result in results.items():
        kept.setdefault(form, {})[stage] = {
            ratio.name: {"ratio": round(ratio.median, 4), "spread": round(ratio.spread, 3)}
            for ratio in result.ratios
            if not ratio.is_absolute
        }
    FILE.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))


def compare(stage: str, result: StageResult, *, form: str) -> Iterator[Worse]:
    """Return the stage's ratios that are worse than the stored ones by more than the noise of both runs."""
    kept = read(form=form).get(stage, {})
    for ratio in result.ratios:
        if ratio.is_absolute and ratio.target is not None and not ratio.is_reached:
            yield Worse(stage=stage, ratio=ratio, expected=ratio.target, bound=ratio.target)
        if ratio.name not in kept:
            continue
        expected = kept[ratio.name]["ratio"]
        noise = max(NOISE_MIN, kept[ratio.name]["spread"], ratio.spread)
        bound = expected * (1 + noise) if ratio.is_at_most else expected / (1 + noise)
        if ratio.median > bound if ratio.is_at_most else ratio.median < bound:
            yield Worse(stage=stage, ratio=ratio, expected=expected, bound=bound)


def _read_file() -> Kept:
    kept: Any = orjson.loads(FILE.read_bytes()) if FILE.exists() else {}
    return dict(kept)
