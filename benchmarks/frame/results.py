"""Figures and ratios: the measurements of a stage, round by round. The median counts, the spread is its uncertainty.

Absolute times mean little on a shared machine, so a ratio is taken within each round, of two figures that were measured
right after each other, and only then the median of the rounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

Sample = Mapping[str, float]
"""What one contender showed in one round: numbers by their unit, for example `orders/s` and `p99 ms`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of one contender, measured once in each round."""

    contender: str
    unit: str
    samples: Sequence[float]

    @property
    def median(self) -> float:
        """The middle one of the rounds."""
        return median(self.samples)

    @property
    def spread(self) -> float:
        """The distance from the lowest to the highest round, as a share of the median."""
        return _spread(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure compared with another one. Without a `target` it is only printed. One that is `absolute`, in
    milliseconds or kilobytes, has no counterpart in its run: only its target can be compared with it.
    """

    name: str
    samples: Sequence[float]
    target: float | None = None
    is_at_most: bool = False
    is_absolute: bool = False

    @property
    def median(self) -> float:
        """The middle one of the rounds."""
        return median(self.samples)

    @property
    def spread(self) -> float:
        """The distance from the lowest to the highest round, as a share of the median."""
        return _spread(self.samples)

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.median <= self.target if self.is_at_most else self.median >= self.target


@dataclass(slots=True, kw_only=True)
class StageResult:
    """What one stage showed. `notes` are sentences for people, such as what was saturated."""

    figures: list[Figure] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, rounds: "Rounds") -> None:
        """Add every figure of the rounds."""
        self.figures.extend(rounds.figures())

    def compare(
        self,
        name: str,
        measured: tuple["Rounds", str],
        limit: tuple["Rounds", str],
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> None:
        """Add the ratio of two contenders' figures of the same unit, for each round separately. A limit of zero (a
        peer that collapses) counts as one.
        """
        mine, theirs = (rounds.samples(contender, unit) for rounds, contender in (measured, limit))
        self.ratios.append(
            Ratio(
                name=name,
                samples=[one / (other or 1.0) for one, other in zip(mine, theirs, strict=True)],
                target=at_most if at_least is None else at_least,
                is_at_most=at_most is not None,
            )
        )


@dataclass(slots=True)
class Rounds:
    """The samples of some alternating contenders."""

    taken: dict[str, list[Sample]] = field(default_factory=dict)

    def note(self, contender: str, sample: Sample) -> None:
        """Add what a contender showed in one more round."""
        self.taken.setdefault(contender, []).append(sample)

    def samples(self, contender: str, unit: str) -> Sequence[float]:
        """One number of a contender, round by round."""
        return [sample[unit] for sample in self.taken[contender]]

    def figures(self) -> Sequence[Figure]:
        """All numbers of all contenders."""
        return [
            Figure(contender=contender, unit=unit, samples=[sample[unit] for sample in samples])
            for contender, samples in self.taken.items()
            for unit in samples[0]
        ]


def _spread(samples: Sequence[float]) -> float:
    middle = median(samples)
    return (max(samples) - min(samples)) / middle if middle else 0.0
