"""Tables of settings and what they gave, as Markdown: those to choose from, the best of each precision, every cell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import groups, line_columns, word_columns
from analysis.cells.money import COST, GCO2
from analysis.cells.naming import varying
from analysis.cells.ranking import speed
from analysis.cells.rows import Row, items_of, memory_bytes, records, with_role
from analysis.cells.usable import front, judged
from analysis.contract.cells import BOUNDS_BATCH, MEASURED, MIN_SAMPLES, STATUSES, TASK_COLUMNS
from analysis.contract.choice import falls_behind, misses_deadline
from analysis.contract.limits import Limits
from analysis.contract.objectives import OBJECTIVES
from analysis.contract.runs import ACCURACY_SD
from analysis.page import agreement, columns
from analysis.page.caveats.of_sweep import BUSY_RATIO, retries_allocations, takes_memory_anew
from analysis.page.runs import SPREAD_COLUMNS
from analysis.recommendation.compilation import WON_BACK
from analysis.recommendation.recommend import Task, best_per_precision, best_per_runtime
from analysis.stats.estimate import Figure, known
from analysis.text import MISSING, escape, gibibytes, is_missing, seconds_as_ms, significant

MAX_CELLS = 200
"""Of more cells than a reader would read, the table has the fastest of each line."""


def _tail(row: Row) -> str:
    """The 99th percentile in ms, or how many single steps were timed instead of the 662 it takes, or that none was."""
    if not is_missing(row["latency_p99_s"]):
        return seconds_as_ms(row["latency_p99_s"])
    n, together = known(row["n_latency_samples"]), known(row["steps_per_sample"]) or 1
    if n is not None and n < MIN_SAMPLES["p99"]:
        return f"{MISSING} (n={n:,.0f})"
    return f"{MISSING} ({together:,.0f} steps a sample)" if n is None and together > 1 else MISSING


def won_back(row: Row) -> str:
    """Items after which a compilation has saved the time that it took: about, as both steps are medians."""
    items = known(row.get(WON_BACK))
    return MISSING if items is None else "never" if math.isinf(items) else significant(items)


def _notes(row: Row) -> str:
    """What speaks against a cell's figures."""
    said = [
        ("pruned early", row["status"] == "pruned"),
        ("timer failed its proof", row["timing_verified"] == False),  # noqa: E712 (null is neither)
        (row["stability"], row["stability"] in ("unstable", "very unstable")),
        ("drifting", row["is_drifting"] == True),  # noqa: E712
        ("imprecise", row["is_precise"] == False),  # noqa: E712
        ("throttled", row["is_throttled"] == True),  # noqa: E712
        ("shared machine", not is_missing(row["other_load_ratio"]) and row["other_load_ratio"] > BUSY_RATIO),
        ("page faults", row["takes_memory_anew"]),
        ("memory full", row["retries_allocations"]),
        ("leak", row["leak_verdict"] == "leak"),
        *((row[note], not is_missing(row[note])) for note in ("rate_note", "limits_note")),
        ("falls behind", falls_behind(row)),
        ("misses deadline", misses_deadline(row)),
    ]
    return ", ".join(str(words) for words, holds in said if holds)


def figure_columns(frame: pd.DataFrame) -> list[columns.Column]:
    """The figures of a cell, for frames of ``prepared``."""
    item = escape(items_of(frame))
    return [
        columns.between(f"throughput ({item}/s)", THROUGHPUT),
        columns.ranged(f"95 % interval ({item}/s)", speed, THROUGHPUT[1:]),
        *SPREAD_COLUMNS,
        columns.between("median step (ms)", ("step_median_s", "step_median_low_s", "step_median_high_s"), 1e3),
        columns.Column("p99 (ms)", _tail, ["step_median_s", "latency_p99_s"]),
        columns.count("missed deadline", "n_missed"),
        columns.plain("peak memory (GiB)", "peak", 2**-30),
        columns.plain("energy (J/item)", "energy_per_item_j"),
        columns.plain(f"cost (per million {item})", COST),
        columns.plain(f"CO2 (g per million {item})", GCO2),
        columns.part("best accuracy", "accuracy_best"),
        columns.part("its standard deviation", ACCURACY_SD),
        columns.plain("time to target (s)", "time_to_target_s"),
        columns.plain("energy to target (J)", "energy_to_target_j"),
        columns.plain("compilation (s)", "compile_s"),
        columns.plain("compilation, caches warm (s)", "compile_warm_s"),
        columns.plain("first step, nothing kept (s)", "start_cold_s"),
        columns.plain("first step, cache warm (s)", "start_warm_s"),
        columns.plain("first step from the artefact (s)", "start_loaded_s"),
        columns.part("work quantised", "quantised_share_ratio"),
        columns.Column(f"compilation pays off after ({item})", won_back, [WON_BACK]),
        agreement.top1_column(),
        columns.in_word("computed in", "computed_dtype")._replace(needs=["computed_dtype"]),
        columns.part("share of FLOP/s ceiling", "flop_share_ratio"),
        columns.in_word("notes", "notes")._replace(needs=["notes"]),
    ]  # fmt: skip


def prepared(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells that were measured, in part or whole, with ``peak`` (bytes) and ``notes``."""
    done = frame[frame["status"].isin(MEASURED)]
    done = done.assign(takes_memory_anew=takes_memory_anew(done), retries_allocations=retries_allocations(done))
    return done.assign(peak=memory_bytes(done), notes=[_notes(row) or None for row in records(done)])


def choices_table(frame: pd.DataFrame, found: Sequence[Row]) -> str:
    """What to use for what: one row for each of ``recommend.choices``, and under it what its short words stand for."""
    if not found:
        return ""
    chosen = prepared(pd.DataFrame(found))
    tail = () if chosen["latency_p99_s"].notna().any() else ("p99",)
    left_out = ("95 % interval", "computed in", "share of FLOP/s", "compilation", "missed", "first step", *tail)
    figures = [c for c in figure_columns(chosen) if not c.title.startswith(left_out)]
    wants = columns.Column("best for", lambda row: ", ".join(want.text for want in row["wants"]))
    return f"{_named_table(frame, chosen, figures, lead=[wants])}\n\n{_legend(found)}"


def _legend(found: Sequence[Row]) -> str:
    """What the short words of a table of choices stand for, each once."""
    told: dict[str, list[str]] = {}
    for want in (want for row in found for want in row["wants"]):
        told.setdefault(want.word, []).append(want.told)
    said = [f"{word}: {escape(' or '.join(dict.fromkeys(texts)))}" for word, texts in told.items()]
    if any(want.n_rivals for row in found for want in row["wants"]):
        said.append("≈2: statistically indistinguishable from 2 others")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _named_table(
    frame: pd.DataFrame, chosen: pd.DataFrame, figures: Sequence[columns.Column], lead: Sequence[columns.Column] = ()
) -> str:
    """A table of a few of the frame's cells, named by all that tells the frame's cells apart.

    Of several cells what they all share stands above the table, not in it.
    """
    numbers = [c for c, _ in columns.NUMBERS if c == "batch_size" or varying(frame, [c])]
    told = columns.named_table(chosen, [*word_columns(frame), *numbers], figures, lead=lead, max_rows=MAX_CELLS)
    return "\n\n".join(filter(None, told))


def precisions_table(frame: pd.DataFrame, found: Sequence[Task]) -> str:
    """The fastest cell of each task, device and precision, and its speed against fp32 on the same device."""
    best = [pair for task in found if not task.is_server for pair in best_per_precision(task)]
    if len(best) < 2:
        return ""
    chosen = prepared(pd.DataFrame([{**row, "over": over} for row, over in best]))
    titles = ("throughput", "95 %", "peak", "energy (", "cost (", "CO2 (", "best acc", "top-1")
    figures = [c for c in figure_columns(chosen) if c.title.startswith(titles)]
    gain = columns.estimated("speed over fp32", lambda row: row["over"] or Figure(value=None), ["over"])
    return _named_table(frame, chosen, [*figures[:2], gain, *figures[2:]])


def runtimes_table(frame: pd.DataFrame, found: Sequence[Task]) -> str:
    """The fastest cell of each task, device, runtime and precision, and its speed over the best of PyTorch there."""
    best = [pair for task in found if not task.is_server for pair in best_per_runtime(task)]
    if not best:
        return ""
    chosen = prepared(pd.DataFrame([{**row, "over": over} for row, over in best]))
    titles = ("throughput", "95 %", "peak", "energy (", "top-1", "computed")
    figures = [c for c in figure_columns(chosen) if c.title.startswith(titles)]
    gain = columns.estimated("speed over the best of PyTorch", lambda row: row["over"] or Figure(value=None), ["over"])
    more = [
        columns.in_word("nodes run by", "nodes_by_provider")._replace(needs=["nodes_by_provider"]),
        columns.plain("conversion (s)", "convert_s"),
        columns.plain("session (s)", "session_s"),
        columns.plain("first step (s)", "first_step_s"),
    ]
    return _named_table(frame, chosen, [*figures[:2], gain, *figures[2:], *more])


def cells_table(frame: pd.DataFrame) -> tuple[str, str]:
    """Every cell measured with its figures, and what is left out of the table in words."""
    done, said = prepared(frame), ""
    if len(done) > MAX_CELLS:
        best = done[done[THROUGHPUT[0]].notna()].sort_values(THROUGHPUT[0], ascending=False, kind="stable")
        fastest = best.drop_duplicates(line_columns(done)).sort_index().head(MAX_CELLS)
        said = (f"{len(fastest)} of {len(done):,} cells: for each line, the batch size with the highest throughput. All"
                " are in the Parquet files.")  # fmt: skip
        done = fastest
    return columns.cell_table(done, figure_columns(done), max_rows=MAX_CELLS), said


def batch_sizes_table(frame: pd.DataFrame) -> str:
    """What a search for batch sizes found on each line: the fastest, the largest, and what ended it."""
    if frame["search_role"].isna().all():
        return ""
    found = []
    for line in groups(frame, line_columns(frame)):
        done = records(prepared(line.cells))
        fast, large = (with_role(done, role) for role in ("fastest", "largest"))
        if fast is not None and large is not None:
            found.append((line, fast, large))
    words, item = columns.names_of(word_columns(frame), lambda found: found[0].row), figure_columns(frame)[0].title
    return columns.column_table(found, [
        *words,
        columns.Column("ended by", lambda found: _ended_by(found[0].cells, found[2])),
        columns.Column("fastest batch size", lambda found: columns.setting(found[1], "batch_size")),
        columns.valued(item, lambda found: speed(found[1])),
        columns.Column("largest batch size", lambda found: columns.setting(found[2], "batch_size")),
        columns.valued(item, lambda found: speed(found[2])),
        columns.Column("its peak memory (GiB)", lambda found: gibibytes(found[2]["peak"])),
    ], n_left=len(words) + 1)  # fmt: skip


def _ended_by(cells: pd.DataFrame, largest: Row) -> str:
    """Why a search for batch sizes tried none over the largest."""
    beyond = cells[cells["batch_size"] > largest["batch_size"]].sort_values("batch_size")
    for status in (*BOUNDS_BATCH, "unsupported"):
        sizes = beyond.loc[beyond["status"] == status, "batch_size"]
        if len(sizes):
            return f"{STATUSES[status].told} at {sizes.iloc[0]:,.0f}"
    return "no further gain"


def front_table(frame: pd.DataFrame, objectives: Sequence[str], limits: Limits) -> str:
    """The cells on the Pareto front of a search for several objectives within the limits, task by task."""
    asked = [name for name in objectives if name in OBJECTIVES]
    studies = prepared(frame).groupby(["sweep", *TASK_COLUMNS], sort=False, dropna=False)
    fronts = [cells[front(cells, asked, limits)] for _, cells in studies]
    if len(asked) < 2 or not fronts:
        return ""
    shown = pd.concat(fronts)
    figures = figure_columns(shown)
    if "memory" in asked:  # what the front is made of, beside what is in tensors
        shown = shown.assign(reserved=[OBJECTIVES["memory"].of_row(row) for row in judged(shown)])
        figures.append(columns.Column("peak memory reserved (GiB)", lambda r: gibibytes(r["reserved"]),
                              ["device_peak_reserved_bytes"]))  # fmt: skip
    return columns.cell_table(shown, figures, max_rows=MAX_CELLS)
