"""Prints what a stage measured: a line for each contender, then a line for each ratio."""

from collections.abc import Iterable, Sequence

from benchmarks.frame.results import Figure, Ratio, StageResult

HUNDRED, TEN = 100, 10


def show(name: str, result: StageResult) -> None:
    """Print the stage's tables."""
    print(f"\n{name}\n{'=' * len(name)}")
    _print_table(["", "median", "", "spread"], map(_figure_row, result.figures))
    if result.ratios:
        print()
        _print_table(["ratio", "median", "spread", "target", ""], map(_ratio_row, result.ratios))
    for note in result.notes:
        print(f"\n{note}")


def number(value: float) -> str:
    """Return a number with about three significant digits."""
    if abs(value) >= HUNDRED:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= TEN else f"{value:.2f}"


def _figure_row(figure: Figure) -> Sequence[str]:
    return (figure.contender, number(figure.median), figure.unit, f"±{figure.spread / 2:.0%}")


def _ratio_row(ratio: Ratio) -> Sequence[str]:
    target = "" if ratio.target is None else f"{'≤' if ratio.is_at_most else '≥'} {ratio.target:g}"
    verdict = {None: "", True: "reached", False: "MISSED"}[ratio.is_reached]
    return (ratio.name, number(ratio.median), f"±{ratio.spread / 2:.0%}", target, verdict)


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip(), flush=True)
