"""Sentences and tables of what searches found, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.cells.rows import Row
from analysis.cells.usable import throughput
from analysis.page.sections import counted, listed
from analysis.searches import OBJECTIVES, BatchSearch, Search
from analysis.stats.estimate import known
from analysis.text import MISSING, escape, gibibytes, number, seconds_as_ms, significant, table

MAX_ROWS = 300


def search_answer(found: Sequence[Search]) -> list[str]:
    """For each search its best cell, or how large its front is."""
    said = []
    for s in found:
        names = listed([name.replace("_", " ") for name in s.objectives])
        n_of = f"{len(s.cells)} cells" if s.n_asked in (None, len(s.cells)) else f"{len(s.cells)} of {s.n_asked} cells"
        told = f"The search of {escape(s.name)} ({escape(s.sampler)}, {n_of}) for {names}"
        if not s.front.any():
            said.append(f"{told} has no complete cell{' that holds the limits' if s.has_limits else ''}.")
        elif len(s.objectives) == 1:
            best = int(s.front.argmax())
            said.append(f"{told} is best with **{escape(s.labels[best])}**: {_objectives(s, best)}.")
        else:
            of = f"{int(s.candidates.sum())} complete{' that hold the limits' if s.has_limits else ''}"
            said.append(f"{told} leaves **{counted(int(s.front.sum()))} on the Pareto front**, of {of}.")
    return said


def _objectives(search: Search, at: int) -> str:
    told = []
    for name in search.objectives:
        title, unit = OBJECTIVES[name].title.removesuffix(")").split(" (")
        told.append(f"{title} {objective_text(search.cells.iloc[at].to_dict(), name)} {unit}")
    return ", ".join(told)


def objective_text(row: Row, name: str) -> str:
    """A cell's value of an objective in the unit of its title; throughput with the digits its interval supports."""
    objective = OBJECTIVES[name]
    value = known(row[objective.column])
    if name == "throughput":
        return throughput(row).text
    return MISSING if value is None else significant(value * objective.scale)


def fronts_table(search: Search) -> str:
    """A search's front, by its first objective, best first; with one objective the five best cells."""
    first = OBJECTIVES[search.objectives[0]]
    chosen = search.cells.assign(label=list(search.labels))[
        search.front if len(search.objectives) > 1 else search.candidates
    ]
    ranked = chosen.sort_values(first.column, ascending=not first.is_maximised, kind="stable")
    ranked = ranked.head(MAX_ROWS if len(search.objectives) > 1 else 5)
    rows = [
        [escape(row["label"]), *(objective_text(row, name) for name in search.objectives), _trial(row)]
        for row in ranked.to_dict("records")
    ]
    headers = ["cell", *(OBJECTIVES[name].title for name in search.objectives), "trial"]
    return table(headers, rows) if rows else ""


def _trial(row: Row) -> str:
    n = known(row["study_trial"])
    return MISSING if n is None else f"{n:.0f}"


def batch_answer(found: Sequence[BatchSearch]) -> list[str]:
    """For each setting the fastest batch size and the largest that ran."""
    said = []
    for s in found:
        if s.fastest is None or s.largest is None:
            said.append(f"{escape(s.label)}: the search for the batch size did not end.")
            continue
        end = "; memory ended no size" if s.smallest_oom is None else f"; {s.smallest_oom:,} ran out of memory"
        rate = f"{throughput(s.fastest).text} items/s"
        told = f"{escape(s.label)}: the fastest batch size is **{_size(s.fastest)}** ({rate})"
        said.append(f"{told}, the largest that ran {_size(s.largest)}{end}.")
    return said


def batch_table(found: Sequence[BatchSearch]) -> str:
    """One row a setting whose batch size was searched."""
    rows = []
    for s in found[:MAX_ROWS]:
        fastest, largest = s.fastest or {}, s.largest or {}
        rows.append([
            escape(s.label), _size(fastest), throughput(fastest).text if fastest else MISSING,
            seconds_as_ms(fastest.get("step_median_s")), _memory(fastest), _size(largest),
            throughput(largest).text if largest else MISSING, _memory(largest),
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
