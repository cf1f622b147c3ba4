"""The figure of a study: what the pruner saw, round by round, and how long each cell was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.contract.cells import MEASURED
from analysis.contract.objectives import OBJECTIVES
from analysis.figures.panels import GREY, INK, WIDTH, legend_below, name_rows, panels, value_axis
from analysis.figures.style import COLOURS
from analysis.subjects.pruning.quantities import Cell, Saving, Study, progress, saving
from analysis.subjects.pruning.tables import Rounds, rounds_of
from analysis.text import listed, significant

MAX_CELLS = 24
"""More bars do not fit a page; the pruned cells come first."""
_WIDE = 20.0
"""Times that the best may be the worst before the axis becomes logarithmic."""


def draw_study(path: Path, study: Study, *, rounds: Rounds) -> str | None:
    """Draw a study with pruned cells; returns None where neither rounds nor times are known, and nothing is drawn."""
    title, figure, shown = f"Pruning of {study.name}", study.pruned_on or "", _shown(study)
    seen = [(cell, progress(cell, rounds_of(rounds, cell), figure)) for cell in study.cells]
    has_curves = any(values for _, values in seen)
    n_panels = int(has_curves) + bool(shown)
    if not n_panels:
        return None
    size = (9.2 if n_panels == 2 else WIDTH, 1.3 + max(2.2, 0.24 * len(shown)))
    with panels(path, 1, n_panels, size=size, share_x=False) as (drawn, grid):
        if has_curves:
            _draw_curves(grid[0], seen, figure)
        if shown:
            _draw_bars(grid[-1], shown, saving(study))
        grid[0].set_title(title)
        legend_below(drawn, grid, 4)
    curves = [f"{OBJECTIVES[figure].round_title} after each round"] if has_curves else []
    return f"{title}: {listed([*curves, *(['seconds of measurement of each cell'] if shown else [])])}"


def _shown(study: Study) -> list[Cell]:
    """The cells that were measured, in the grid's order; of too many all pruned ones first."""
    measured = [cell for cell in study.cells if cell.spent_s is not None and cell.status in MEASURED]
    ranked = sorted(range(len(measured)), key=lambda i: (measured[i].status != "pruned", i))[:MAX_CELLS]
    return [measured[i] for i in sorted(ranked)]


def _draw_curves(axes: Axes, seen: Sequence[tuple[Cell, dict[int, float]]], figure: str) -> None:
    scale, objective = 100.0 if figure == "accuracy" else 1.0, OBJECTIVES[figure]
    lines = [(cell, list(told), [scale * v for v in told.values()]) for cell, told in seen if told]
    whole = [(cell, values) for cell, _, values in lines if cell.status == "complete"]
    best = max(whole, key=lambda pair: objective.gain(pair[1][-1]))[0] if whole else None
    for cell, x, values in lines:
        if cell.status == "pruned":
            axes.plot(x, values, color=COLOURS[1], linewidth=1.3, linestyle="--", marker="x", markevery=[-1],
                      markersize=8, markeredgewidth=2, label="pruned", zorder=3)  # fmt: skip
        elif cell is best:
            axes.plot(x, values, color=COLOURS[0], linewidth=2.4, label=f"best: {cell.label}", zorder=2.5)
        elif cell.status == "complete":
            axes.plot(x, values, color=GREY, linewidth=1.0, label="complete")
    told = [v for _, _, values in lines for v in values if v > 0]
    if told and max(told) > _WIDE * min(told):
        value_axis(axes, told)
    else:
        axes.set_ylim(0, None)
    axes.set(xlabel="rounds measured", ylabel=f"{objective.round_title} ({objective.unit or '%'})")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0.5, None)


def _draw_bars(axes: Axes, cells: Sequence[Cell], saved: Saving) -> None:
    """A bar a cell: measured, and of pruned cells what is estimated to be saved."""
    typical = saved.typical.value
    for i, cell in enumerate(cells):
        spent = cell.spent_s or 0.0
        if cell.status == "pruned":
            axes.barh(-i, spent, color=COLOURS[1], height=0.7, hatch="////", edgecolor="white", linewidth=0,
                      label="pruned, measured")  # fmt: skip
            if typical is not None and typical > spent:
                axes.barh(-i, typical - spent, left=spent, color="none", edgecolor=COLOURS[1], linewidth=0.9,
                          linestyle=":", height=0.7, label="saved (estimate)")  # fmt: skip
        else:
            axes.barh(-i, spent, color="#9ecae1", height=0.7, label="complete, measured")
    if typical is not None:
        axes.axvline(typical, color=INK, linewidth=1.0, linestyle=(0, (4, 2)), zorder=3)
        axes.annotate(f"median {significant(typical)} s", (typical, 0.62), xytext=(3, 0), textcoords="offset points",
                      fontsize=8.5, color=INK, va="center")  # fmt: skip
    name_rows(axes, [cell.label for cell in cells])
    axes.set_ylim(-len(cells) + 0.4, 0.95)
    axes.tick_params(axis="y", labelsize=8.5)
    axes.set_xlabel("measurement (s)")
