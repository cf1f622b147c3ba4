"""The tables of what was pruned, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.contract.objectives import OBJECTIVES
from analysis.page.columns import Column, column_table
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
from analysis.text import MISSING, escape, is_missing, number, significant

MAX_ROWS = 300
Rounds = Mapping[tuple[str, str], pd.DataFrame]
"""The rounds of each cell by sweep and key."""


def tables(studies: Sequence[Study], rounds: Rounds) -> dict[str, str]:
    """The page's tables of what was pruned, by the names that its template has for them."""
    return {"studies": studies_table(studies), "pruned": pruned_table(studies, rounds)}


def rounds_of(rounds: Rounds, cell: Cell) -> pd.DataFrame:
    """A cell's rounds in order; an empty frame where there are none."""
    return rounds.get((str(cell.row["sweep"]), str(cell.row["trial_key"])), pd.DataFrame())


def range_text(sums: Saving) -> str:
    """What was saved by the shortest and by the longest complete cell: ``12 to 20 s``."""
    low, high = sums.saved.low, sums.saved.high
    return MISSING if low is None or high is None else f"{significant(low, 2)} to {significant(high, 2)} s"


def studies_table(studies: Sequence[Study]) -> str:
    """One row a study in which cells were pruned."""
    found = [(study, saving(study)) for study in studies if study.pruned]
    return column_table(found, [
        Column("study", lambda s: escape(s[0].name)),
        Column("pruned on", lambda s: escape(s[0].pruned_on or MISSING)),
        Column("cells", lambda s: f"{len(s[0].cells)}"),
        Column("complete", lambda s: f"{len(s[0].complete)}"),
        Column("pruned", lambda s: f"{len(s[0].pruned)}"),
        Column("failed", lambda s: f"{len(s[0].cells) - len(s[0].complete) - len(s[0].pruned)}"),
        Column("complete cell (s)", lambda s: number(s[1].typical.value)),
        Column("shortest to longest (s)", lambda s: _span(s[1].typical)),
        Column("spent on pruned (s)", lambda s: number(s[1].spent_s)),
        Column("saved (s)", lambda s: number(s[1].saved.value)),
        Column("by shortest and longest (s)", lambda s: _span(s[1].saved)),
        Column("saved (%)", lambda s: MISSING if s[1].share is None else f"{100 * s[1].share:.0f}"),
        Column("saved, whole cells (s)", lambda s: number(saving(s[0], "wall_s").saved.value)),
    ], n_left=2, max_rows=MAX_ROWS)  # fmt: skip


def _span(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return MISSING
    return f"{significant(figure.low, 2)} to {significant(figure.high, 2)}"


def pruned_table(studies: Sequence[Study], rounds: Rounds) -> str:
    """Every pruned cell: when, on what figure, against what."""

    def saved(study: Study, cell: Cell) -> str:
        typical = saving(study).typical.value
        return number(None if typical is None or cell.spent_s is None else typical - cell.spent_s)

    def doubt(study: Study, cell: Cell) -> str:
        verdict = may_be_best(study, cell)
        return MISSING if verdict is None else "yes" if verdict else "no"

    def against(cell: Cell) -> str:
        return MISSING if is_missing(cell.row["pruned_against"]) else escape(cell.row["pruned_against"])

    return column_table([(study, cell) for study in studies for cell in study.pruned], [
        Column("study", lambda s: escape(s[0].name)),
        Column("cell", lambda s: escape(s[1].label)),
        Column("compared with", lambda s: against(s[1])),
        Column("after round", lambda s: MISSING if s[1].n_rounds is None else f"{s[1].n_rounds}"),
        Column("its figure then", lambda s: _value(s[1], rounds_of(rounds, s[1]), str(s[1].row["pruned_on"]))),
        Column("spent (s)", lambda s: number(s[1].spent_s)),
        Column("saved (s)", lambda s: saved(*s)),
        Column("could be the best", lambda s: doubt(*s)),
    ], n_left=3, max_rows=MAX_ROWS)  # fmt: skip


def _value(cell: Cell, rounds: pd.DataFrame, figure: str) -> str:
    seen = progress(cell, rounds, figure)
    value = seen[max(seen)] if seen else judged(cell.row).value
    if value is None or figure not in OBJECTIVES:
        return MISSING
    return f"{100 * value:.1f} %" if figure == "accuracy" else f"{significant(value, 4)} {OBJECTIVES[figure].unit}"
