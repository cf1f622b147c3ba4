"""Sentences and tables of what was pruned, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.page.sections import counted
from analysis.pruning import UNITS, Cell, Saving, Study, judged, may_be_best, progress, saving, total
from analysis.stats.estimate import Figure
from analysis.text import MISSING, escape, is_missing, number, significant, table

MAX_ROWS = 300
Rounds = Mapping[tuple[str, str], pd.DataFrame]
"""The rounds of each cell by sweep and key."""


def rounds_of(rounds: Rounds, cell: Cell) -> pd.DataFrame:
    """A cell's rounds in order; an empty frame where there are none."""
    return rounds.get((str(cell.row["sweep"]), str(cell.row["trial_key"])), pd.DataFrame())


def pruning_answer(studies: Sequence[Study], asked: Sequence[str]) -> list[str]:
    """What was given up and what that saved.

    Args:
        studies: All of them.
        asked: The pruners that the sweeps had, in words; empty where there was none.
    """
    pruned = [cell for study in studies for cell in study.pruned]
    n_cells = sum(len(study.cells) for study in studies)
    if not pruned:
        told = f"No cell was pruned, though {' and '.join(asked)} looked on" if asked else "No pruner looked on"
        return [f"{told}: none of {counted(n_cells)} was given up."] if n_cells else []
    rounds = [n for cell in pruned if (n := cell.n_rounds) is not None]
    after = ""
    if rounds:
        after = (
            f" after {min(rounds)} to {max(rounds)} rounds"
            if min(rounds) < max(rounds)
            else f" after {_rounds(rounds[0])}"
        )
    with_pruned = [study for study in studies if study.pruned]
    said = [f"**{len(pruned)} of {counted(n_cells)} were given up**{after}, {_saved(with_pruned)}."]
    return [*said, *_trust(with_pruned)]


def _rounds(n: int) -> str:
    return counted(n, "round")


def _saved(studies: Sequence[Study]) -> str:
    sums = total([saving(study) for study in studies])
    if sums.spent_s is None:
        return "what that saved is unknown, for their rows tell no times"
    spent = f"with {significant(sums.spent_s)} s of measuring spent on them"
    if sums.saved.value is None:
        return f"{spent}; what that saved is unknown, for no cell of their studies is complete"
    verb = "saved" if sums.saved.value > 0 else "cost"
    told = (
        f"{spent}; measured whole they would have taken an estimated {significant(sums.spent_s + sums.saved.value)} s: "
    )
    told += f"pruning {verb} **{significant(abs(sums.saved.value))} s** ({_range(sums)})"
    whole = total([saving(study, "wall_s") for study in studies])
    share = sums.share
    told += "" if share is None else f", {100 * share:.0f} % of the measuring in their studies"
    if whole.saved.value is not None:
        told += f"; {significant(whole.saved.value)} s counting whole cells, from set-up to the last check"
    return told


def _range(sums: Saving) -> str:
    low, high = sums.saved.low, sums.saved.high
    return MISSING if low is None or high is None else f"{significant(low, 2)} to {significant(high, 2)} s"


def _trust(studies: Sequence[Study]) -> list[str]:
    verdicts = [may_be_best(study, cell) for study in studies for cell in study.pruned]
    n_known, n_doubt = sum(v is not None for v in verdicts), sum(v is True for v in verdicts)
    if not n_known:
        return []
    if not n_doubt:
        subject = "its interval" if n_known == 1 else f"the intervals of {n_known} of them"
        return [f"None of them could have been the best: {subject} stay{'s' if n_known == 1 else ''} clear of the best "
                "complete cell's."]  # fmt: skip
    reach = "reaches" if n_doubt == 1 else "reach"
    return [f"**{n_doubt} of the {n_known}** given up whose interval is known {reach} that of the best complete cell "
            "of the study: there the pruner may have been wrong."]  # fmt: skip


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
    value = seen[-1] if seen else judged(cell.row).value
    if value is None or figure not in UNITS:
        return MISSING
    return f"{100 * value:.1f} %" if figure == "accuracy" else f"{significant(value, 4)} {UNITS[figure]}"
