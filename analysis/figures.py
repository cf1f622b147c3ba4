"""Which figures a sweep's report has: what settings give and cost, load, accuracy over time."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.batch_figures import draw_settings
from analysis.grouping import file_names, groups, task_columns
from analysis.limits import Limits
from analysis.time_figures import draw_accuracy, draw_load

MAX_TASKS = 6
"""Tasks with figures on the page; the tables have all."""
KINDS = {"settings": draw_settings, "load": draw_load, "accuracy": draw_accuracy}
"""How a figure's file name begins, and what draws it."""
Drawn = tuple[Path, str]
"""A figure's file and its alternative text."""


def draw_all(frame: pd.DataFrame, rounds: pd.DataFrame, folder: Path, limits: Limits) -> tuple[list[Drawn], int]:
    """Draw every figure that the sweep has the numbers for.

    Args:
        frame: Trials, of ``strata.with_identity``.
        rounds: Rounds of the same sweeps.
        folder: For the files.
        limits: Drawn as lines where a figure has the axis.

    Returns:
        The figures task by task, and how many tasks have none because of ``MAX_TASKS``.
    """
    found = [g for g in groups(frame, task_columns(frame)) if (g.cells["status"] == "complete").any()]
    shown = found[:MAX_TASKS]
    names = {kind: file_names(kind, [group.name for group in shown]) for kind in KINDS}
    drawn: list[Drawn] = []
    for i, group in enumerate(shown):
        for kind, draw in KINDS.items():
            path = folder / names[kind][i]
            text = draw(path, group, rounds, limits)
            if text is not None:
                drawn.append((path, text))
    return drawn, len(found) - len(shown)
