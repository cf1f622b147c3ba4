"""The tables of what was pruned and of what searches found, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.cells.ranking import speed
from analysis.cells.rows import Row, peak_bytes, records
from analysis.contract.objectives import OBJECTIVES
from analysis.page.columns import Column, column_table, in_word, valued, whole
from analysis.stats.estimate import Figure
from analysis.subjects.pruning.quantities import Cell, Study, judged, may_be_best, progress, saving
from analysis.subjects.pruning.searches import BatchSearch, Search
from analysis.text import MISSING, escape, gibibytes, is_missing, number, seconds_as_ms, significant

MAX_ROWS = 300
Rounds = Mapping[tuple[str, str], pd.DataFrame]
"""The rounds of each cell by sweep and key."""


def rounds_of(rounds: Rounds, cell: Cell) -> pd.DataFrame:
    """A cell's rounds in order; an empty frame where there are none."""
    return rounds.get((str(cell.row["sweep"]), str(cell.row["trial_key"])), pd.DataFrame())


def span_text(figure: Figure) -> str:
    """By the shortest and by the longest complete cell: ``12 to 20``."""
    if figure.low is None or figure.high is None:
        return MISSING
    return f"{significant(figure.low)} to {significant(figure.high)}"


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
        Column("shortest to longest (s)", lambda s: span_text(s[1].typical)),
        Column("spent on pruned cells (s)", lambda s: number(s[1].spent_s)),
        Column("saved (s)", lambda s: number(s[1].saved.value)),
        Column("range by shortest and longest (s)", lambda s: span_text(s[1].saved)),
        Column("saved (%)", lambda s: MISSING if s[1].share is None else f"{100 * s[1].share:.0f}"),
        Column("saved, whole cells (s)", lambda s: number(saving(s[0], "wall_s").saved.value)),
    ], n_left=2, max_rows=MAX_ROWS)  # fmt: skip


def pruned_table(studies: Sequence[Study], rounds: Rounds) -> str:
    """Every pruned cell: when, on what figure, against what."""

    def saved(study: Study, cell: Cell) -> str:
        typical = saving(study).typical.value
        return number(None if typical is None or cell.spent_s is None else typical - cell.spent_s)

    def against(cell: Cell) -> str:
        return MISSING if is_missing(cell.row["pruned_against"]) else escape(cell.row["pruned_against"])

    verdicts = {None: MISSING, True: "yes", False: "no"}
    return column_table([(study, cell) for study in studies for cell in study.pruned], [
        Column("study", lambda s: escape(s[0].name)),
        Column("cell", lambda s: escape(s[1].label)),
        Column("compared with", lambda s: against(s[1])),
        Column("after round", lambda s: MISSING if s[1].n_rounds is None else f"{s[1].n_rounds}"),
        Column("its figure then", lambda s: _value(s[1], rounds_of(rounds, s[1]), str(s[1].row["pruned_on"]))),
        Column("spent (s)", lambda s: number(s[1].spent_s)),
        Column("saved (s)", lambda s: saved(*s)),
        Column("could be the best", lambda s: verdicts[may_be_best(*s)]),
    ], n_left=3, max_rows=MAX_ROWS)  # fmt: skip


def _value(cell: Cell, rounds: pd.DataFrame, figure: str) -> str:
    seen = progress(cell, rounds, figure)
    value = seen[max(seen)] if seen else judged(cell.row).value
    if value is None or figure not in OBJECTIVES:
        return MISSING
    return f"{100 * value:.1f} %" if figure == "accuracy" else f"{significant(value, 4)} {OBJECTIVES[figure].unit}"


def objective_text(row: Row, name: str) -> str:
    """A cell's value of an objective in the unit of its title; throughput with the digits its interval supports."""
    objective = OBJECTIVES[name]
    value = objective.of_row(row)
    if name == "throughput":
        return speed(row).text
    return MISSING if value is None else significant(value * objective.scale)


def fronts_table(search: Search) -> str:
    """A search's front, by its first objective, best first; with one objective the five best cells."""
    first, is_several = OBJECTIVES[search.objectives[0]], len(search.objectives) > 1
    chosen = search.cells.assign(label=list(search.labels))[search.front if is_several else search.candidates]
    ranked = sorted(records(chosen), key=lambda row: -first.gain(first.of_row(row) or 0.0))
    objectives = [Column(OBJECTIVES[name].title, lambda row, name=name: objective_text(row, name))
                  for name in search.objectives]  # fmt: skip
    trial = Column("trial", lambda row: MISSING if is_missing(row["study_trial"]) else f"{row['study_trial']:.0f}")
    shown = ranked[: MAX_ROWS if is_several else 5]
    return column_table(shown, [in_word("cell", "label"), *objectives, trial])


def batch_table(found: Sequence[BatchSearch]) -> str:
    """One row a setting whose batch size was searched."""
    return column_table(found, [
        Column("setting", lambda s: escape(s.label)),
        Column("fastest batch", lambda s: size_text(s.fastest)),
        valued("throughput (items/s)", lambda s: speed(s.fastest or {})),
        Column("median step (ms)", lambda s: seconds_as_ms((s.fastest or {}).get("step_median_s"))),
        Column("peak memory (GiB)", lambda s: _memory(s.fastest)),
        Column("largest that ran", lambda s: size_text(s.largest)),
        valued("its throughput (items/s)", lambda s: speed(s.largest or {})),
        Column("its peak memory (GiB)", lambda s: _memory(s.largest)),
        Column("smallest out of memory", lambda s: whole(s.smallest_oom)),
        Column("sizes tried", lambda s: f"{len(s.rows)}"),
        Column("measurement (s)", lambda s: number(s.measured_s)),
    ], max_rows=MAX_ROWS)  # fmt: skip


def size_text(row: Row | None) -> str:
    """A cell's batch size."""
    return whole((row or {}).get("batch_size"))


def _memory(row: Row | None) -> str:
    return gibibytes(None if row is None else peak_bytes(row))
