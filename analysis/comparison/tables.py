"""Tables of a comparison, as Markdown, and how its numbers were made."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.naming import label, varying
from analysis.cells.rows import records
from analysis.comparison.comparison import MAX_P, Comparison, most_telling
from analysis.comparison.verdicts import figure
from analysis.contract.cells import SERVER, SETTINGS, TASK_COLUMNS
from analysis.page.agreement import top1_column
from analysis.page.columns import MAX_ROWS, Column, column_table, estimated, in_word, known_of, part, plain
from analysis.stats.estimate import Figure
from analysis.text import MISSING, counted, escape, is_missing, seconds_as_ms


def cells_table(comparison: Comparison, baseline: str) -> str:
    """Every matched cell: the verdict, both medians, the ratio with its interval and p."""
    frame = comparison.cells
    if frame.empty:
        return ""
    several = frame["side"].nunique() > 1
    shown = frame.iloc[most_telling(frame["verdict"], frame["ratio"], MAX_ROWS)]
    names = varying(frame, comparison.key)
    unit = "ms/request" if "scenario" in frame and (frame["scenario"] == SERVER).all() else "ms/item"
    other = "side" if several else escape(frame["side"].iloc[0])
    columns = [
        Column("cell", lambda row: escape(label(row, names))),
        *([in_word("side", "side")] if several else []),
        Column("verdict", lambda row: str(row["verdict"])),
        Column(f"{escape(baseline)} ({unit})", lambda row: seconds_as_ms(row["baseline_s"])),
        Column(f"{other} ({unit})", lambda row: seconds_as_ms(row["other_s"])),
        estimated("speed ratio (95 % interval)", figure),
        Column("p", lambda row: p_text(row["p"])),
        *known_of(frame, [plain("energy per item (ratio)", "energy_ratio"),
                          plain("peak memory (ratio)", "memory_ratio")]),
        Column("runs", lambda row: str(row["n_runs"])),
    ]  # fmt: skip
    text = column_table(records(shown), columns, n_left=3 if several else 2)
    left = len(frame) - len(shown)
    return f"{text}\n\n{left:,} more cells are nearer to 1 or less certain." if left else text


def p_text(p: float) -> str:
    """A p value; of the smallest no more than that they are."""
    return MISSING if is_missing(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def best_table(best: pd.DataFrame) -> str:
    """The fastest and the most frugal cell of each side, for work that all sides completed."""
    if best.empty:
        return ""
    names = varying(best, [c for c in TASK_COLUMNS if c in best])
    baseline, one = best["side"].iloc[0], Figure(value=1.0)
    has_energy = best["items_per_j"].notna().any()
    words = [
        *([Column("work", lambda row: escape(label(row, names)))] if names else []),
        in_word("side", "side"),
        Column("fastest with", lambda row: escape(label(row, SETTINGS))),
        *([Column("most energy-efficient with (counter)", _frugal_words)] if has_energy else []),
    ]
    return column_table(records(best), [
        *words,
        plain("throughput (items/s)", "throughput_items_per_s"),
        estimated("speed ratio (95 % interval)", lambda row: one if row["side"] == baseline else figure(row)),
        *known_of(best, [top1_column(), part("held-out accuracy", "accuracy_best"),
                         plain("energy (items/J)", "items_per_j")]),
    ], n_left=len(words), max_rows=len(best))  # fmt: skip


def _frugal_words(row: dict[str, object]) -> str:
    if is_missing(row["frugal_settings"]):
        return MISSING
    domain = row["energy_domain"]
    return escape(row["frugal_settings"]) + ("" if is_missing(domain) else f" ({escape(domain)})")


def best_note(across: Sequence[str]) -> str:
    """Which settings each side was free to choose."""
    fixed = [column.replace("_", " ") for column in across if column in SETTINGS]
    if not fixed:
        return "Each side chooses its device, precision, batch size and all other settings."
    return f"Each side chooses all settings but the {' and the '.join(map(escape, fixed))}."


def outcomes_table(comparison: Comparison, baseline: str) -> str:
    """Cells that completed on one side only."""
    frame = comparison.outcomes
    names = varying(frame, comparison.key) or ["device", "batch_size"]
    return column_table(records(frame), [
        Column("cell", lambda row: escape(label(row, names))),
        in_word("side", "side"),
        Column(f"in {escape(baseline)}", lambda row: str(row["baseline_status"])),
        Column("here", lambda row: str(row["other_status"])),
        in_word("reason", "reason"),
    ], n_left=5)  # fmt: skip


def method(comparison: Comparison) -> list[str]:
    """How the numbers were made, in sentences."""
    least, n_once = comparison.min_change, int((comparison.cells["verdict"] == "one run").sum())
    said = [
        "The ratio is of times, geometric means over a cell's runs: above 1 the side is faster. A run is a sweep where"
        " several measured the cell, otherwise one of its repeats. The interval (95 %) and p are those of a moderated t"
        " test on the logarithms of the runs' medians: the spread between runs is pooled over cells, so that a few runs"
        " per side have its degrees of freedom (G. K. Smyth, Statistical Applications in Genetics and Molecular Biology"
        " 3:1, 2004).",
        f"Faster and slower require a change of more than {100 * least:g} % (`--min-change`) and p below {MAX_P} after"
        f" Holm's correction for the number of cells; all cells together, a change of more than {50 * least:g} % and p"
        f" below {MAX_P} of Student's t test on the means of whole runs. The same: the whole interval is within"
        f" {100 * least:g} %. Everything else is unclear.",
    ]
    if n_once:
        said.append(f"{counted(n_once)} had one run on a side: the interval covers only what varies within that run,"
                    " and there is no verdict.")  # fmt: skip
    return said
