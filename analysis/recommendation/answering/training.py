"""What trainings reached, and which of them sooner than all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analysis.cells.rows import Row
from analysis.page.runs import accuracy_spread_of
from analysis.recommendation.recommend import most_accurate, soonest
from analysis.stats.estimate import known
from analysis.text import share, significant

Told = Callable[[Row], str]


def comma(text: str) -> str:
    """A text behind a comma, where there is one."""
    return f", {text}" if text else ""


def sentences(rows: Sequence[Row], told_of: Told) -> list[str]:
    """What training reached, and how soon."""
    said = []
    accurate, first = most_accurate(rows), soonest(rows)
    if accurate is not None:
        best = accurate.row
        told = f"with {told_of(best)}{comma(accurate.undecided(told_of))}"
        word = "The best held-out accuracy is" if accurate.is_first else "Held-out accuracy reaches"
        said.append(f"{word} {share(best['accuracy_best'])}{accuracy_spread_of(best)}, {told}.")
    elif rows and all(isinstance(row.get("learned"), str) for row in rows):
        said.append("No training run did better than guessing, so none is the best.")
    if first is not None:
        target = f"{100 * first.row['target_accuracy']:g} % held-out accuracy"
        after = f"after {significant(first.row['time_to_target_s'])} s of training"
        word = "is reached soonest with" if first.is_first else "is reached with"
        said.append(f"{target} {word} {told_of(first.row)}: {after}{comma(first.undecided(told_of))}.")
        said += _all_counted(rows, first.row, target, told_of)
    return said


def _all_counted(rows: Sequence[Row], first: Row, target: str, told_of: Told) -> list[str]:
    """Where the soonest is compiled: what comes soonest when the first step counts, for a training made once."""
    first_s, ranking = known(first["first_step_s"]), soonest(rows, "first_step_s")
    if known(first["compile_s"]) is None or first_s is None or ranking is None:
        return []
    told = f"Its first step, including compilation, took {significant(first_s)} s"
    row = ranking.row
    spent_s = float(row["time_to_target_s"]) + float(row["first_step_s"])
    if not ranking.is_first:
        return [f"{told}: with first steps included, {target} is reached after {significant(spent_s)} s with"
                f" {told_of(row)}{comma(ranking.undecided(told_of))}."]  # fmt: skip
    if row["trial_key"] == first["trial_key"]:
        return [f"{told}; with that included it is still the soonest."]
    return [f"{told}: with first steps included, as long as they were in this sweep, {target} is reached soonest with"
            f" {told_of(row)}, after {significant(spent_s)} s."]  # fmt: skip
