"""Sentences and tables of what was pruned, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.contract.objectives import OBJECTIVES
from analysis.page.sections import counted
from analysis.stats.estimate import Figure
from analysis.subjects.pruning.quantities import (
    Cell,
    Saving,
    Study,
    judged,
    may_be_best,
    progress,
    saving,
)
from analysis.text import MISSING, escape, is_missing, number, significant, table

MAX_ROWS = 300
Rounds = Mapping[tuple[str, str], pd.DataFrame]
"""The rounds of each cell by sweep and key."""


def rounds_of(rounds: Rounds, cell: Cell) -> pd.DataFrame:
    """A cell's rounds in order; an empty frame where there are none."""
    return rounds.get((str(cell.row["sweep"]), str(cell.row["trial_key"])), pd.DataFrame())


def _rounds(n: int) -> str:
    return counted(n, "round")


def _range(sums: Saving) -> str:
    low, high = sums.saved.low, sums.saved.high
    return MISSING if low is None or high is None else f"{significant(low, 2)} to {significant(high, 2)} s"


def studies_table(studies: Sequence[Study]) -> str:
    """One row a study in which cells were pruned."""
    rows = []
    for study in [study for study in studies if study.pruned][:MAX_ROWS]:
        s, wall = saving(study), saving(study, "wall_s")
        n_failed = len(study.cells) - len(study.complete) - len(study.pruned)
        rows.append([
            escape(study.name), escape(study.pruned_on or MISSING), f"{len(study.cells)}", f"{len(study.complete)}",
            f"{len(study.pruned)}", f"{n_failed}", number(s.typical.value), _span(s.typical), number(s.spent_s),
            number(s.saved.value), _span(s.saved), MISSING if s.share is None else f"{100 * s.share:.0f}",
            number(wall.saved.value),
        ])  # fmt: skip
    headers = ["study", "pruned on", "cells", "complete", "pruned", "failed", "complete cell (s)",
               "shortest to longest (s)", "spent on pruned (s)", "saved (s)", "by shortest and longest (s)",
               "saved (%)", "saved, whole cells (s)"]  # fmt: skip
    return table(headers, rows, n_left=2) if rows else ""


def _span(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return MISSING
    return f"{significant(figure.low, 2)} to {significant(figure.high, 2)}"


def pruned_table(studies: Sequence[Study], rounds: Rounds) -> str:
    """Every pruned cell: when, on what figure, against what; at most ``MAX_ROWS``."""
    rows = []
    every = [(study, cell) for study in studies for cell in study.pruned]
    for study, cell in every[:MAX_ROWS]:
        figure = str(cell.row["pruned_on"])
        typical = saving(study).typical.value
        saved = None if typical is None or cell.spent_s is None else typical - cell.spent_s
        verdict = may_be_best(study, cell)
        against = cell.row["pruned_against"]
        rows.append([
            escape(study.name), escape(cell.label), escape(against if not is_missing(against) else MISSING),
            MISSING if cell.n_rounds is None else f"{cell.n_rounds}", _value(cell, rounds_of(rounds, cell), figure),
            number(cell.spent_s), number(saved), MISSING if verdict is None else "yes" if verdict else "no",
        ])  # fmt: skip
    headers = ["study", "cell", "compared with", "after round", "its figure then", "spent (s)", "saved (s)",
               "could be the best"]  # fmt: skip
    return table(headers, rows, n_left=3) if rows else ""


def _value(cell: Cell, rounds: pd.DataFrame, figure: str) -> str:
    seen = progress(cell, rounds, figure)
    value = seen[max(seen)] if seen else judged(cell.row).value
    if value is None or figure not in OBJECTIVES:
        return MISSING
    return f"{100 * value:.1f} %" if figure == "accuracy" else f"{significant(value, 4)} {OBJECTIVES[figure].unit}"
