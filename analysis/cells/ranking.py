"""Which of several cells is first by a figure, and which others are statistically indistinguishable from it.

Every sentence of a page or of the terminal that calls a cell the fastest, the most frugal, the soonest or the most
accurate asks here. What an interval holds is decided where it is made: over runs where there are several, within one
run otherwise; what a device moved by when it was measured again widens it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import special

from analysis.cells.columns import THROUGHPUT
from analysis.cells.pooling import MOVED, STEP, with_runs_pooled
from analysis.cells.rows import Row, records
from analysis.contract.objectives import learned_accuracy
from analysis.contract.runs import ACCURACY_SD, N_RUNS
from analysis.stats.estimate import Figure, known, of_row, ratio
from analysis.stats.shares import share_of
from analysis.stats.told_apart import MIN_CHANGE, verdict

Judge = Callable[[Figure, Figure, float], bool]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The first of some cells, and of the ``n_others`` beside it those statistically indistinguishable, best first.

    ``is_one_run``: each was run once and none again, so that the next run may rank them otherwise.
    """

    row: Row
    rivals: list[Row]
    n_others: int
    is_one_run: bool

    @property
    def is_first(self) -> bool:
        """Whether it may be called the best of several."""
        return self.n_others > 0 and not self.rivals

    def has(self, row: Row | None) -> bool:
        """Whether a row is the first, or statistically indistinguishable from it."""
        return row is not None and any(_is_same_row(row, other) for other in (self.row, *self.rivals))

    def undecided(self, name: Callable[[Row], str], n: int = 2) -> str:
        """``statistically indistinguishable from A; B and 3 more``; empty where it is the first alone."""
        if not self.rivals:
            return ""
        if len(self.rivals) == self.n_others > n:
            return f"statistically indistinguishable from all {self.n_others:,} others"
        more = f" and {len(self.rivals) - n:,} more" if len(self.rivals) > n else ""
        return f"statistically indistinguishable from {'; '.join(map(name, self.rivals[:n]))}{more}"


def _is_same_row(one: Row, other: Row) -> bool:
    return all(one.get(name) == other.get(name) for name in ("trial_key", "sweep"))


def speed(row: Row) -> Figure:
    """A row's throughput with its interval, in items per second."""
    return of_row(row, THROUGHPUT)


def over_runs(rows: Sequence[Row]) -> dict[str, Row]:
    """A sweep's rows as pages have them, by their key: with intervals over runs, or with what a recheck moved by."""
    frame = pd.DataFrame(list(rows)).assign(sweep="")
    # As load_sweep has them: a whole number that became null has another type.
    frame = with_runs_pooled(frame.astype(dict.fromkeys(frame.select_dtypes("int"), "float64")))
    return {str(row["trial_key"]): row for row in records(frame)}


def step(row: Row) -> Figure:
    """A row's median step with its interval, in seconds."""
    return of_row(row, STEP)


def plain(column: str) -> Callable[[Row], Figure]:
    """A figure that has no interval of its own, such as joules per item."""
    return lambda row: Figure(value=known(row.get(column)))


def accuracy(row: Row) -> Figure:
    """A training's best held-out accuracy with Wilson's interval, of several runs their mean with Student's.

    Unknown of a training that learned one class only or nothing: whatever share its answer fits is no accuracy.
    """
    value, n = learned_accuracy(row), known(row.get("n_heldout_items"))
    n_runs, sd = known(row.get(N_RUNS)), known(row.get(ACCURACY_SD))
    if value is not None and sd and n_runs and n_runs > 1:
        half = float(special.stdtrit(n_runs - 1, 0.975)) * sd / math.sqrt(n_runs)
        return Figure(value=value, low=max(0.0, value - half), high=min(1.0, value + half))
    return share_of(value, None if n is None else int(n))


def rank(
    rows: Sequence[Row], figure: Callable[[Row], Figure], *, is_lower_better: bool = False, judge: Judge | None = None
) -> Ranking | None:
    """The first of rows by a figure and its rivals; None where none of them has one. The first of equals counts."""
    sign = -1.0 if is_lower_better else 1.0
    able = [(found, row) for row in rows if (found := figure(row)).value is not None]
    able.sort(key=lambda pair: -sign * (pair[0].value or 0.0))
    if not able:
        return None
    (best, row), others = able[0], able[1:]
    moved = max((known(r.get(MOVED)) or 1.0 for _, r in able), default=1.0)
    beats = judge or (_is_below if is_lower_better else _is_above)
    runs = [known(r.get(N_RUNS)) or 1 for _, r in able]
    return Ranking(
        row=row, rivals=[r for found, r in others if not beats(best, found, moved)], n_others=len(others),
        is_one_run=max(runs) < 2 and moved == 1.0,
    )  # fmt: skip


def _is_above(best: Figure, other: Figure, moved: float) -> bool:
    """Whether the first is larger for certain: by more than a device moves, and than the intervals reach.

    Of figures without interval differences under 5 % are not taken for real.
    """
    if not (best.value and other.value):
        return (best.value or 0) > (other.value or 0)
    found = ratio(best, other)
    low = found.value and found.value / (1 + MIN_CHANGE) if found.low is None else found.low
    return verdict(Figure(value=found.value, low=low and low / moved)) == "faster"


def widened(found: Figure, *rows: Row) -> Figure:
    """A ratio of two cells' figures, its interval widened by what their device moved by when it was measured again."""
    moved = max((known(row.get(MOVED)) or 1.0 for row in rows), default=1.0)
    return Figure(value=found.value, low=found.low and found.low / moved, high=found.high and found.high * moved)


def _is_below(best: Figure, other: Figure, moved: float) -> bool:
    return _is_above(other, best, moved)


def intervals_part(best: Figure, other: Figure, _: float) -> bool:
    """Whether two shares' intervals do not overlap, as of accuracies, which no machine's speed moves."""
    if best.low is None or other.high is None:
        return (best.value or 0.0) > (other.value or 0.0)
    return other.high < best.low
