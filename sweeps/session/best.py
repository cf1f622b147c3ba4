"""The best cells of a sweep as lines for the terminal, by the choice that the report makes, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.contract.cells import SERVER
from analysis.contract.choice import best, by_task, doubts, task_names
from analysis.contract.limits import Limits
from sweeps.plan.config import TrialConfig
from sweeps.session.terminal import format_result

MAX_TASKS = 12
"""More tasks than that are left to the report."""


def best_lines(rows: Sequence[dict[str, Any]], limits: Limits) -> list[str]:
    """The fastest and the most accurate cell of a sweep's rows; of one task on each device, of several a line each."""
    ordered = sorted(rows, key=lambda r: r["trial_index"] or 0)  # the first of several alike is the report's too
    tasks = by_task([row for row in ordered if row["status"] == "complete"])
    if len(tasks) == 1:
        (cells,) = tasks.values()
        devices = dict.fromkeys(row["device"] for row in cells)
        found = [line for name in devices for line in _lines([r for r in cells if r["device"] == name], limits)]
        return list(dict.fromkeys(found))
    told = [f"{name}: {line}" for name, cells in zip(task_names(tasks), tasks.values(), strict=True)
            for line in _lines(cells, limits)[:1]]  # fmt: skip
    more = [f"{len(told) - MAX_TASKS} more tasks are in the report"] if len(told) > MAX_TASKS else []
    return told[:MAX_TASKS] + more


def _lines(cells: Sequence[dict[str, Any]], limits: Limits) -> list[str]:
    """Of the cells of one task: the fastest, and the most accurate where accuracy is known."""
    fastest = best(cells, "throughput", limits)
    if fastest is None:
        return _none(cells, limits)
    word = "highest rate" if fastest["scenario"] == SERVER else "fastest"
    accurate = best(cells, "accuracy", limits)
    return [_told(word, fastest), *([] if accurate is None else [_told("most accurate", accurate)])]


def _told(word: str, row: Mapping[str, Any]) -> str:
    doubt = f" ({'; '.join(doubts(row))})" if doubts(row) else ""
    return f"{word} on {TrialConfig.from_row(row).label}: {format_result(row)}{doubt}"


def _none(cells: Sequence[dict[str, Any]], limits: Limits) -> list[str]:
    if best(cells) is not None and limits.asked:
        return ["no cell is known to hold the limits asked for"]
    is_server = any(row["scenario"] == SERVER for row in cells)
    return ["no cell keeps up with its requests within its deadline"] if is_server else []
