"""Figures of a finetuning report: held-out accuracy over time, images and joules, side by side; against speed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.cells.groups import Group, Task, of
from analysis.cells.rows import records
from analysis.contract.objectives import learned_accuracy
from analysis.figures.front import Trade, draw_front
from analysis.figures.lines import Series, draw_series, mark_every
from analysis.figures.panels import GREY, INK, legend_below, log_ticks, named, panels, written_out
from analysis.stats.estimate import Figure
from analysis.subjects.finetune.quantities import COSTS, Training
from analysis.text import listed

MAX_LINES = 10
"""More curves are too many to follow; those that came to the best accuracy are kept."""
_WIDE = 12.0
"""Times that the longest curve may be as long as the shortest before the axis becomes logarithmic."""


def draw_training(path: Path, task: Task[Training]) -> str:
    """Draw one task's curves; rings where they first reach their target, grey lines for trainings given up early."""
    trainings, title = task.members, f"Held-out accuracy{of(task.name)}"
    shown = most_accurate_curves(trainings)
    pruned = [training for training in trainings if training.is_pruned]
    every = [*shown, *pruned]
    costs = [cost for cost in COSTS if any(np.isfinite(getattr(training, cost)).any() for training in every)]
    size = 1.2 + (3.3 if len(costs) < 3 else 2.8) * len(costs), 3.5 + 0.2 * math.ceil((len(shown) + 2) / 3)
    with panels(path, 1, len(costs), size=size, share_x=False, share_y=True) as (drawn, grid):
        for axes, cost in zip(grid, costs, strict=True):
            for training in pruned:
                spent = getattr(training, cost)
                at_end = [-1] if spent.size else None
                axes.plot(spent, 100 * training.accuracy, color=GREY, linewidth=0.9, marker="x", markevery=at_end,
                          markersize=6, zorder=1.5, label="pruned")  # fmt: skip
            marks = mark_every([training.accuracy.size for training in shown])
            draw_series(axes, [_series(training, cost) for training in shown], mark_every=marks)
            _mark_targets(axes, shown, cost)
            _cost_axis(axes, [getattr(training, cost) for training in shown or every])
            axes.set_xlabel(COSTS[cost])
        low = 100 * min(float(training.accuracy.min()) for training in every)
        grid[0].set_ylim(0 if low < 40 else 10 * np.floor(low / 10 - 0.5), 101)
        grid[0].set(title=title, ylabel="held-out accuracy (%)")
        legend_below(drawn, grid, 3)
    lines = named([training.label for training in every], len(trainings))
    return f"{title} over {listed([COSTS[cost] for cost in costs])}, {lines}"


def draw_accuracy_front(path: Path, task: Group) -> str | None:
    """Speed against the best held-out accuracy, of those that learned."""
    found = [learned_accuracy(row) for row in records(task.cells)]
    cells = task.cells.assign(accuracy_percent=[math.nan if share is None else 100 * share for share in found])
    trade = Trade(column="accuracy_percent", name="accuracy", axis="best held-out accuracy (%)", is_lower_better=False)
    return draw_front(path, replace(task, cells=cells), trade)


def most_accurate_curves(trainings: Sequence[Training]) -> list[Training]:
    """The ``MAX_LINES`` trainings of the best accuracy that ran to their end, in their own order."""
    whole = [training for training in trainings if not training.is_pruned]
    return sorted(sorted(whole, key=lambda one: -(one.best.value or 0))[:MAX_LINES], key=whole.index)


def _series(training: Training, cost: str) -> Series:
    spent = getattr(training, cost)
    at = np.isfinite(spent)
    y = [Figure(value=float(share)) for share in 100 * training.accuracy[at]]
    return Series(label=training.label, group=training.place, kind=training.kind, x=spent[at].tolist(), y=y)


def _mark_targets(axes: Axes, trainings: Sequence[Training], cost: str) -> None:
    for target in sorted({training.target for training in trainings if training.target is not None}):
        axes.axhline(100 * target, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        if axes.get_subplotspec().is_first_col():
            axes.annotate(
                f"target {100 * target:g} %", (0.0, 100 * target), xycoords=("axes fraction", "data"), xytext=(4, 1),
                textcoords="offset points", va="bottom", fontsize=8, color=INK,
            )  # fmt: skip
    reached: list[tuple[float, float]] = []
    for training in trainings:
        at = np.flatnonzero(training.counted >= (2.0 if training.target is None else training.target))[:1]
        spent = getattr(training, cost)[at]
        reached += zip(spent, 100 * training.accuracy[at], strict=True) if np.isfinite(spent).all() else []
    if reached:
        axes.plot(*zip(*reached, strict=True), linestyle="", marker="o", markersize=12, markerfacecolor="none",
                  markeredgecolor=INK, label="first at the target")  # fmt: skip


def _cost_axis(axes: Axes, spent: Sequence[np.ndarray]) -> None:
    """From zero; logarithmic where the curves' lengths differ so much that the short ones would be lost."""
    known = [values[np.isfinite(values)] for values in spent if np.isfinite(values).any()]
    starts, ends = [values[0] for values in known], [values[-1] for values in known]
    if not ends or max(ends) <= _WIDE * min(ends):
        axes.set_xlim(0, None)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(written_out)
        return
    axes.set_xscale("log")
    log_ticks(axes.xaxis, (1.0,) if max(ends) > 100 * min(starts) else (1.0, 2.0, 5.0))
