"""Main effects as one figure: a row a setting, a dot a pair, the mean with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.figures import panels
from analysis.figures.style import COLOURS
from analysis.recommendation.axes.effects import Effect
from analysis.recommendation.axes.tables import axis_name, often, plain, sentence
from analysis.stats.told_apart import MIN_CHANGE, Verdict

MAX_ROWS = 16
"""More settings are not read from one figure; the table has all."""
_ROW_INCHES, _DOT_AREA = 0.34, 14.0
_COLOURS: dict[Verdict, str] = {"faster": COLOURS[0], "slower": COLOURS[1]}


def draw_effects(path: Path, found: Sequence[Effect]) -> str | None:
    """Draw the effects from the top and return the alternative text; None without any."""
    shown = found[:MAX_ROWS]
    if not shown:
        return None
    with panels.panels(path, 1, size=(panels.WIDTH, 1.2 + _ROW_INCHES * len(shown))) as (_, (axes,)):
        axes.axvspan(1 / (1 + MIN_CHANGE), 1 + MIN_CHANGE, color="#eeeeee", zorder=0, linewidth=0)
        axes.axvline(1, color=panels.INK, linewidth=0.8, zorder=1)
        ends = [1 / (1 + MIN_CHANGE), 1 + MIN_CHANGE]
        for i, one in enumerate(shown):
            values = [pair.ratio.value for pair in one.contrast.pairs if pair.ratio.value]
            axes.scatter(values, [-i] * len(values), s=_DOT_AREA, color="#999999", alpha=0.6, linewidths=0, zorder=2)
            colour, mean = _COLOURS.get(one.verdict, panels.INK), one.ratio
            low, high = mean.low or mean.value, mean.high or mean.value
            axes.plot([low, high], [-i, -i], color=colour, linewidth=2.0, zorder=3, solid_capstyle="butt")
            axes.plot(mean.value, -i, marker="D", color=colour, markersize=6, zorder=4)
            panels.note_right(axes, -i, f"{mean.full_text}, {often(one)}")
            ends += [*values, *(value for value in (low, high) if value)]
        panels.name_rows(axes, [_name(one) for one in shown])
        axes.set_ylim(-len(shown) + 0.4, 0.6)
        panels.ratio_axis(axes, min(ends), max(ends))
        axes.set(xlabel="ratio of speeds, 95 % interval (dots: pairs)")
        axes.set_title("What each setting buys", loc="left", x=0)
    left = f"; {len(found) - len(shown)} more in the table" if len(found) > len(shown) else ""
    return f"Speed with each setting over that without: {'; '.join(sentence(one) for one in shown)}{left}"


def _name(one: Effect) -> str:
    return f"{axis_name(one.contrast.axis)}: {plain(one.contrast.value)}\nover {plain(one.contrast.base)}"
