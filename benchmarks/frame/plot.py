"""Draws the ratios of a run as SVG: for each its lowest, middle and highest round, on a scale where 1 is the target."""

from collections.abc import Mapping
from html import escape

from benchmarks.frame.results import Ratio, StageResult
from benchmarks.frame.tables import number

ROW_PIXELS = 22
NAME_PIXELS = 420
PLOT_PIXELS = 420
WORDS_PIXELS = 160
FONT = 'font-family="sans-serif"'
SCALE_MAX = 3.0
"""Ratios beyond this many times their target end at the edge."""


def draw(results: Mapping[str, StageResult]) -> str:
    """Return the chart as text."""
    rows = [
        (f"{stage}: {ratio.name}", ratio)
        for stage, result in results.items()
        for ratio in result.ratios
        if ratio.target is not None
    ]
    height = ROW_PIXELS * (len(rows) + 2)
    parts = [_row(name, ratio, top=ROW_PIXELS * (index + 1)) for index, (name, ratio) in enumerate(rows)]
    target, width = _x(1), NAME_PIXELS + PLOT_PIXELS + WORDS_PIXELS
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="12" {FONT}>',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<line x1="{target}" x2="{target}" y1="4" y2="{height - ROW_PIXELS}" stroke="#888"/>',
            f'<text x="{target}" y="{height - 6}" text-anchor="middle" fill="#888">target</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _row(name: str, ratio: Ratio, *, top: int) -> str:
    reached = sorted(_share(value, ratio) for value in ratio.samples)
    middle = _share(ratio.median, ratio)
    colour = "#2a7" if ratio.is_reached else "#c33"
    y = top + ROW_PIXELS // 2
    return "".join(
        [
            f'<text x="{NAME_PIXELS - 8}" y="{y + 4}" text-anchor="end">{escape(name)}</text>',
            f'<line x1="{_x(reached[0])}" x2="{_x(reached[-1])}" y1="{y}" y2="{y}" stroke="{colour}"/>',
            f'<circle cx="{_x(middle)}" cy="{y}" r="5" fill="{colour}"/>',
            f'<text x="{NAME_PIXELS + PLOT_PIXELS + 8}" y="{y + 4}">{_words(ratio)}</text>',
        ]
    )


def _share(value: float, ratio: Ratio) -> float:
    """Return the share of the target; more is better, for either direction of the target."""
    target = ratio.target or 1.0
    if not ratio.is_at_most:
        return value / target
    return target / value if value else SCALE_MAX


def _x(share: float) -> int:
    return NAME_PIXELS + round(PLOT_PIXELS * min(share, SCALE_MAX) / SCALE_MAX)


def _words(ratio: Ratio) -> str:
    sign = "&#8804;" if ratio.is_at_most else "&#8805;"
    return f"{number(ratio.median)} (to reach {sign} {ratio.target:g})"
