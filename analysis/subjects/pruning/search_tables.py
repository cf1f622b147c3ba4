"""The tables of what searches found, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.rows import Row, records
from analysis.cells.usable import speed
from analysis.contract.objectives import OBJECTIVES
from analysis.page.columns import Column, column_table, in_word
from analysis.stats.estimate import known
from analysis.subjects.pruning.searches import BatchSearch, Search
from analysis.text import MISSING, escape, gibibytes, number, seconds_as_ms, significant

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
    objectives = [Column(OBJECTIVES[name].title, lambda row, name=name: objective_text(row, name))  # type: ignore[misc]
                  for name in search.objectives]  # fmt: skip
    shown = ranked[: MAX_ROWS if is_several else 5]
    return column_table(shown, [in_word("cell", "label"), *objectives, Column("trial", _trial)])


def _trial(row: Row) -> str:
    n = known(row["study_trial"])
    return MISSING if n is None else f"{n:.0f}"


def batch_table(found: Sequence[BatchSearch]) -> str:
    """One row a setting whose batch size was searched."""

    def rate(row: Row | None) -> str:
        return speed(row).text if row else MISSING

    return column_table(found, [
        Column("setting", lambda s: escape(s.label)),
        Column("fastest batch", lambda s: size_text(s.fastest)),
        Column("throughput (items/s)", lambda s: rate(s.fastest)),
        Column("median step (ms)", lambda s: seconds_as_ms((s.fastest or {}).get("step_median_s"))),
        Column("peak memory (GiB)", lambda s: _memory(s.fastest)),
        Column("largest that ran", lambda s: size_text(s.largest)),
        Column("its throughput (items/s)", lambda s: rate(s.largest)),
        Column("its peak memory (GiB)", lambda s: _memory(s.largest)),
        Column("smallest out of memory", lambda s: MISSING if s.smallest_oom is None else f"{s.smallest_oom:,}"),
        Column("sizes tried", lambda s: f"{len(s.rows)}"),
        Column("measuring (s)", lambda s: number(s.measured_s)),
    ], max_rows=MAX_ROWS)  # fmt: skip


def size_text(row: Row | None) -> str:
    """A cell's batch size."""
    return f"{int(row['batch_size']):,}" if row else MISSING


def _memory(row: Row | None) -> str:
    device = known((row or {}).get("device_peak_allocated_bytes"))
    return gibibytes(device if device is not None else (row or {}).get("peak_rss_bytes"))
