"""Sentences and tables of what searches found, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.rows import Row, records
from analysis.cells.usable import speed
from analysis.contract.objectives import OBJECTIVES
from analysis.stats.estimate import known
from analysis.subjects.pruning.searches import BatchSearch, Search
from analysis.text import MISSING, escape, gibibytes, number, seconds_as_ms, significant, table

MAX_ROWS = 300


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
    rows = [
        [escape(row["label"]), *(objective_text(row, name) for name in search.objectives), _trial(row)]
        for row in ranked[: MAX_ROWS if is_several else 5]
    ]
    headers = ["cell", *(OBJECTIVES[name].title for name in search.objectives), "trial"]
    return table(headers, rows) if rows else ""


def _trial(row: Row) -> str:
    n = known(row["study_trial"])
    return MISSING if n is None else f"{n:.0f}"


def batch_table(found: Sequence[BatchSearch]) -> str:
    """One row a setting whose batch size was searched."""
    rows = []
    for s in found[:MAX_ROWS]:
        fastest, largest = s.fastest or {}, s.largest or {}
        rows.append([
            escape(s.label), _size(fastest), speed(fastest).text if fastest else MISSING,
            seconds_as_ms(fastest.get("step_median_s")), _memory(fastest), _size(largest),
            speed(largest).text if largest else MISSING, _memory(largest),
            MISSING if s.smallest_oom is None else f"{s.smallest_oom:,}", f"{len(s.rows)}", number(s.measured_s),
        ])  # fmt: skip
    headers = ["setting", "fastest batch", "throughput (items/s)", "median step (ms)", "peak memory (GiB)",
               "largest that ran", "its throughput (items/s)", "its peak memory (GiB)", "smallest out of memory",
               "sizes tried", "measuring (s)"]  # fmt: skip
    return table(headers, rows) if rows else ""


def _size(row: Row) -> str:
    return f"{int(row['batch_size']):,}" if row else MISSING


def _memory(row: Row) -> str:
    device = known(row.get("device_peak_allocated_bytes"))
    return gibibytes(device if device is not None else row.get("peak_rss_bytes"))
