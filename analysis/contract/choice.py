"""The choice of the best cell, for the terminal and for every page: which cells may be chosen, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

from analysis.contract.cells import SERVER, TASK_COLUMNS, Row, known
from analysis.contract.limits import Limits, R
from analysis.contract.objectives import OBJECTIVES

KEEPS_UP_RATIO = 0.9
"""A server that completes less than this share of the arrivals asked for falls behind. Random arrivals alone make the
few hundred requests of a cell come up to 8 % slower or faster than asked (two standard deviations of 662)."""
CHOSEN_BY = (
    "status", "scenario", "throughput_items_per_s", "latency_p99_s", "latency_p99_high_s", "latency_p50_s",
    "step_median_s", "deadline_s",
    "rate_per_s", "max_rate_per_s", "completed_rate_per_s", "n_dropped", "energy_per_item_j", "accuracy_best",
    "learned", "device_peak_reserved_bytes", "device_peak_allocated_bytes", "peak_rss_bytes",
)  # fmt: skip
"""The columns that the choice looks at."""
P99_COLUMNS = ("latency_p99_s", "latency_p99_high_s")
"""The p99 that was seen, and the upper bound of a server's; older sweeps have none."""
UNSTABLE = ("unstable", "very unstable")


def falls_behind(row: Row) -> bool:
    """Whether a server completes less than what arrives, or drops requests."""
    offered = known(row.get("rate_per_s"))
    offered = known(row.get("max_rate_per_s")) if offered is None else offered
    completed = known(row.get("completed_rate_per_s"))
    is_slow = completed is not None and offered is not None and completed < KEEPS_UP_RATIO * offered
    return is_slow or (known(row.get("n_dropped")) or 0) > 0


def misses_deadline(row: Row) -> bool:
    """Whether a server's p99, or where it is known the upper bound of it, is over its deadline."""
    tails = [tail for name in P99_COLUMNS if (tail := known(row.get(name))) is not None]
    deadline = known(row.get("deadline_s"))
    return deadline is not None and any(tail > deadline for tail in tails)


def is_usable(row: Row) -> bool:
    """Whether a cell may be chosen: measured to its end, and of servers one that keeps up and holds its deadline."""
    is_over = row.get("scenario") == SERVER and (falls_behind(row) or misses_deadline(row))
    return row.get("status") == "complete" and known(row.get("throughput_items_per_s")) is not None and not is_over


def best(rows: Iterable[R], objective: str = "throughput", limits: Limits | None = None) -> R | None:
    """The best of some cells of one task by one of ``OBJECTIVES``, and the first of several alike.

    None where none of them may be chosen and holds the limits.
    """
    judged = OBJECTIVES[objective]
    able = [
        (judged.gain(value), row)
        for row in rows
        if is_usable(row) and (limits is None or limits.held(row) is not False)
        and (value := judged.of_row(row)) is not None
    ]  # fmt: skip
    return max(able, key=lambda pair: pair[0])[1] if able else None


def is_candidate(row: Row, objectives: Sequence[str], limits: Limits) -> bool:
    """Whether a cell can be on a search's front: complete, within the limits, every objective known."""
    is_known = all(OBJECTIVES[name].of_row(row) is not None for name in objectives)
    return row.get("status") == "complete" and is_known and limits.held(row) is not False


def front(rows: Sequence[Row], objectives: Sequence[str], limits: Limits) -> list[bool]:
    """Which cells of one search's task are on its Pareto front; with one objective the best ones."""
    able = [i for i, row in enumerate(rows) if is_candidate(row, objectives, limits)]
    judged = [OBJECTIVES[name] for name in objectives]
    points = [tuple(objective.gain(objective.of_row(rows[i]) or 0.0) for objective in judged) for i in able]
    found = set(compress(able, pareto(points)))
    return [i in found for i in range(len(rows))]


def pareto(points: Sequence[tuple[float, ...]]) -> list[bool]:
    """Which points no other point beats: as good in every coordinate (more is better) and better in one.

    Of equal ones all are kept.
    """
    # Best first by the first coordinate, then the next: a point can only be beaten by one before it.
    order = sorted(range(len(points)), key=lambda i: points[i], reverse=True)
    kept: list[int] = []
    for i in order:
        point = points[i]
        rivals = (points[j] for j in kept)
        if not any(rival != point and all(a >= b for a, b in zip(rival, point, strict=True)) for rival in rivals):
            kept.append(i)
    on_front = set(kept)
    return [i in on_front for i in range(len(points))]


def by_task(rows: Iterable[R]) -> dict[tuple[object, ...], list[R]]:
    """The rows by what is done, in the order in which the tasks come: only cells of one task are compared."""
    found: dict[tuple[object, ...], list[R]] = {}
    for row in rows:
        found.setdefault(task_of(row), []).append(row)
    return found


def task_of(row: Row) -> tuple[object, ...]:
    """What a row does, as the values of ``TASK_COLUMNS``."""
    return tuple(row.get(column) for column in TASK_COLUMNS)


def task_names(tasks: Iterable[tuple[object, ...]]) -> list[str]:
    """What tells tasks of ``by_task`` apart, in words."""
    found = list(tasks)
    varying = [i for i in range(len(TASK_COLUMNS)) if len({task[i] for task in found}) > 1]
    return [", ".join(str(task[i]) for i in varying if task[i] is not None) for task in found]


def doubts(row: Row) -> list[str]:
    """What speaks against believing a cell's speed or accuracy."""
    said = ["timed by a timer that did not pass its proof"] if row.get("timing_verified") == False else []  # noqa: E712 (null is neither)
    said += [f"learned {row['learned']}"] if isinstance(row.get("learned"), str) else []
    return said + ([str(row["stability"])] if row.get("stability") in UNSTABLE else [])
