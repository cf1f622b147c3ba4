"""The runs of a cell: which follow from its first one, how many of them a sweep was asked for, and what they come to.

A cell is measured first when the grid, a study or a search hands it out. When all have been, those measured to their
end are measured again in fresh processes: with each seed, and as often as ``--repeats`` asks; where neither asks for
more, only the first cell of each device is (the recheck), since one run cannot tell how far the next one differs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from analysis.contract.cells import OPTION_COLUMNS, Row, known
from analysis.contract.limits import R

SAME_CELL = ("workload", "device", "model", "batch_size", "precision", "memory_format", "compile", "threads",
             "allocator", "n_devices", "node", *OPTION_COLUMNS.values(), "options")  # fmt: skip
"""What the runs of one cell share; they differ in ``repeat`` and ``seed``."""
COUNTED_BY = ("trial_key", "status", "device", "node", "seed", "repeat", "started_at")
"""The columns by which runs are counted."""
N_RUNS, SPEED_SD, ACCURACY_SD, SPEEDS = "n_runs", "throughput_sd_ratio", "accuracy_sd", "run_speeds"
"""Columns of a pooled row: runs measured to their end; the standard deviation between them of the logarithm of their
throughput (None of one run) and of their best accuracy; and each run's throughput."""


def repeat_of(row: Row) -> int:
    """Which measurement of its cell a row is, from 1; older sweeps do not say, and have one."""
    return int(known(row.get("repeat")) or 1)


def is_first(row: Row, config: Mapping[str, Any]) -> bool:
    """Whether a row is its cell's first run in a sweep of a configuration as ``sweep.json`` has it."""
    seed = known(row.get("seed"))
    return repeat_of(row) == 1 and (seed is None or seed == config.get("seed", seed))


def runs_asked(config: Mapping[str, Any]) -> int:
    """How often each cell is to be measured: with each seed, and each time that ``--repeats`` asks."""
    return int(config.get("repeats") or 1) * (1 + len(config.get("other_seeds") or ()))


def rechecked(firsts: Iterable[R]) -> list[R]:
    """Of first runs those to be measured again: on each device the one that began first.

    Where fewer than two were measured to their end there is no difference to judge, and none is.
    """
    found: dict[tuple[object, object], list[R]] = {}
    for row in firsts:
        if row.get("status") == "complete":
            found.setdefault((row.get("device"), row.get("node")), []).append(row)
    return [min(rows, key=lambda row: str(row.get("started_at"))) for rows in found.values() if len(rows) > 1]


def change(before: Row, after: Row) -> float | None:
    """By which share a later run of a cell was faster (slower: negative); None where a speed is not known.

    By the median step, which an epoch tells as well as a whole training; of servers by the rate.
    """
    steps = [known(row.get("step_median_s")) for row in (before, after)]
    rates = [known(row.get("throughput_items_per_s")) for row in (before, after)]
    told = steps[::-1] if all(steps) else rates
    return (told[1] or 0.0) / (told[0] or 1.0) - 1 if all(told) else None


def n_asked(description: Mapping[str, Any], rows: Sequence[Row]) -> int | None:
    """How many rows a sweep was asked for, as far as those that it has tell; None where not even they do."""
    config, n_cells = description.get("config") or {}, description["n_cells"]
    if not n_cells or "merged_from" in description:
        return n_cells or None
    firsts = [row for row in rows if is_first(row, config)]
    n_runs = runs_asked(config)
    n_again = len(rechecked(firsts)) if config.get("recheck") else 0
    if n_runs > 1:
        n_again = (n_runs - 1) * sum(row.get("status") == "complete" for row in firsts)
    return int(n_cells) + max(n_again, len(rows) - len(firsts))


def pooled(rows: Iterable[R], same: Sequence[str] = SAME_CELL) -> list[R | dict[str, Any]]:
    """The rows with the runs of each cell that were measured to their end as one row, in the order of the first.

    What ended otherwise stays a row of its own, once for each way of ending: no failure is hidden by a success.
    """
    found: dict[tuple[object, ...], list[R]] = {}
    for row in rows:
        is_whole = row.get("status") == "complete"
        told = () if is_whole else (row.get("status"), row.get("status_reason"))
        found.setdefault((*(_hashable(row.get(name)) for name in same), *told), []).append(row)
    return [pool(runs) if runs[0].get("status") == "complete" else runs[0] for runs in found.values()]


def _hashable(value: object) -> object:
    return None if value != value else value  # noqa: PLR0124 # NaN, which is not itself


_SPEEDS = ("throughput_items_per_s", "step_median_s", "achieved_flop_per_s", "achieved_bytes_per_s")
_ACCURACIES = ("accuracy_best", "accuracy_final", "balanced_accuracy_final", "loss_final")
_TARGETS = ("time_to_target_s", "energy_to_target_j")
_HIGHEST = ("device_peak_allocated_bytes", "device_peak_reserved_bytes", "peak_rss_bytes", "other_load_ratio",
            "temperature_end_c", "peak_power_w", "n_missed", "n_dropped", "n_nonfinite")  # fmt: skip
_ANY, _ALL = ("is_drifting", "is_throttled"), ("is_precise", "timing_verified", "constraints_held")
_WORST = ("stable", "unstable", "very unstable")
_SUMMED = ("measured_s", "wall_s", "n_samples", "n_rounds")
_FIRST = (*SAME_CELL, "trial_index", "schema_version", "seed", "repeat", "worker_pid", "clock_offset_s", "visit",
          "deadline_s", "target_accuracy", "items_per_step", "study_trial")  # fmt: skip


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean of positive values."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def _flag(decide: Callable[[Iterable[bool]], bool]) -> Callable[[Sequence[Any]], bool]:
    return lambda values: decide(bool(value) for value in values)


def _mean(values: Sequence[float]) -> float:
    return geometric_mean(values) if min(values) > 0 else statistics.fmean(values)


_JOINED: dict[str, Callable[[Sequence[Any]], Any]] = {
    **dict.fromkeys(_SPEEDS, _mean), **dict.fromkeys(_ACCURACIES, statistics.fmean), **dict.fromkeys(_HIGHEST, max),
    **dict.fromkeys(_ANY, _flag(any)), **dict.fromkeys(_ALL, _flag(all)), **dict.fromkeys(_SUMMED, sum),
    "stability": lambda values: max(values, key=lambda word: _WORST.index(word) if word in _WORST else 0),
}  # fmt: skip
"""How the known values of the runs become one, where it is not by their median, as of all other figures."""


def pool(runs: Sequence[R]) -> R | dict[str, Any]:
    """The runs of one cell, all measured to their end, as one row; a single one as it is.

    Speeds are geometric means, accuracies means, other figures medians of the runs that know them, peaks the highest;
    what a target took is known only where each run reached it. What is no figure is the first run's. Of a training that
    was rechecked, for an epoch, only the whole ones count.
    """
    trained = [run for run in runs if known(run.get("accuracy_final")) is not None]
    runs = trained or runs
    if len(runs) == 1:
        return runs[0]
    row: dict[str, Any] = dict(runs[0])
    for name in row.keys() - set(_FIRST):
        values: list[Any] = [value for run in runs if not _is_null(value := run.get(name))]
        if name in _JOINED:
            row[name] = _JOINED[name](values) if values else None
        elif values and all(isinstance(value, float) for value in values):
            row[name] = statistics.median(values)
        elif values and _is_null(row[name]):
            row[name] = values[0]
    for name in _TARGETS:
        if any(known(run.get(name)) is None for run in runs):
            row[name] = None
    speeds = _speeds_of(runs)
    accuracies = [value for run in runs if (value := known(run.get("accuracy_best"))) is not None]
    return row | {
        N_RUNS: len(runs), SPEEDS: tuple(speeds),
        SPEED_SD: statistics.stdev(map(math.log, speeds)) if len(speeds) > 1 else None,
        ACCURACY_SD: statistics.stdev(accuracies) if len(accuracies) > 1 else None,
    }  # fmt: skip


def _speeds_of(runs: Sequence[Row]) -> list[float]:
    """Each run's throughput; of several sweeps each one's mean, for what its runs share they do not show."""
    found: dict[object, list[float]] = {}
    n_sweeps = len({run.get("sweep_id") for run in runs})
    for i, run in enumerate(runs):
        if value := known(run.get("throughput_items_per_s")):
            found.setdefault(run.get("sweep_id") if n_sweeps > 1 else i, []).append(value)
    return [geometric_mean(values) for values in found.values()]


def _is_null(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124 # NaN
