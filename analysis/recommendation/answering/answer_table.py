"""The answer for several tasks: a table of them, with what all their settings share above it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from analysis.cells import usable
from analysis.cells.ranking import Ranking, rank, speed
from analysis.cells.rows import Row, items_of, records, setting_columns
from analysis.contract.choice import doubts
from analysis.contract.limits import Limits
from analysis.page import columns
from analysis.page.runs import SPREAD_COLUMNS
from analysis.recommendation.compilation import WON_BACK
from analysis.recommendation.limits import within
from analysis.recommendation.recommend import Best, Task
from analysis.recommendation.tables import won_back
from analysis.stats.estimate import Figure
from analysis.text import escape

ALONE, ONLY = "none", "the one cell"
MAX_ROWS = 40
"""More rows of the first table are not read; the tables below have all."""


def answer_table(frame: pd.DataFrame, found: Sequence[Task], limits: Limits) -> tuple[str, str]:
    """What all settings of it share in words, and the table: the best cell of each task and device, tasks in order.

    Both are empty where no cell may be recommended.
    """
    rows = [row for task in found for row in _rows(replace(task, cells=within(limits, task.cells)))]
    if not rows:
        return "", ""
    chosen = pd.DataFrame(rows[:MAX_ROWS])
    task = columns.Column("task", lambda row: escape(row["task"]))
    figures = _figures(items_of(chosen))
    return columns.named_table(chosen, setting_columns(frame), figures, lead=[task], n_rows=len(rows))


def _rows(task: Task) -> list[Row]:
    best = task.best_per_device
    return [_row(task, one, _ranking(task) if i == 0 else one.ranking) for i, one in enumerate(best)]


def _ranking(task: Task) -> Ranking:
    """The first of all devices' cells, which the others' rows are not."""
    ranking = rank(records(usable.usable(task.cells)), speed)
    assert ranking is not None, "asked for where there is a best cell"
    return ranking


def _row(task: Task, best: Best, ranking: Ranking) -> Row:
    n = len(ranking.rivals)
    alike = ONLY if not ranking.n_others else f"{n:,} of {ranking.n_others:,} others" if n else ALONE
    over = {"over_fp32": best.over_fp32, "over_cpu": best.over_cpu, "over_torch": best.over_torch}
    return best.row | {"task": task.name, "alike": alike, **over, "doubts": ", ".join(doubts(best.row)) or None}


def _figures(item: str) -> list[columns.Column]:
    item = escape(item)
    return [
        columns.estimated(f"{item}/s", speed),
        *SPREAD_COLUMNS,
        columns.Column("statistically indistinguishable", lambda row: row["alike"]),
        columns.plain("p99 (ms)", "latency_p99_s", 1e3),
        _over("speed over fp32", "over_fp32"),
        _over("speed over the CPU", "over_cpu"),
        _over("speed over PyTorch's", "over_torch"),
        columns.part("accuracy", "accuracy_best"),
        columns.plain(f"{item} per joule", "items_per_j"),
        columns.Column(f"compilation pays off after ({item})", won_back, [WON_BACK]),
        columns.in_word("doubts", "doubts")._replace(needs=["doubts"]),
    ]


def _over(title: str, column: str) -> columns.Column:
    return columns.estimated(title, lambda row: row[column] or Figure(value=None), [column])
