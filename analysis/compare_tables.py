"""Tables and sentences of a comparison, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.best import WORK
from analysis.cells import label, labels, varying
from analysis.comparison import MAX_P, MIN_RATIO, Comparison
from analysis.matching import Difference, Side
from analysis.render import MISSING, escape, is_missing, number, seconds_as_ms, share, significant, table
from analysis.summaries import records

ENVIRONMENT = (
    ("device", "device_name"), ("driver", "driver_version"), ("processor", "cpu_name"), ("CPUs", "n_cpus"),
    ("threads", "n_threads"), ("system", "os"), ("Python", "python_version"), ("torch", "torch_version"),
    ("torchvision", "torchvision_version"), ("accelsweep", "accelsweep_version"), ("commit", "git_commit"),
    ("host", "host"),
)  # fmt: skip
_SURE = f"ratio over {MIN_RATIO} and p under {MAX_P} after Holm's correction for the number of cells"


def ratio_text(ratio: float, low: float, high: float) -> str:
    """``1.42 (1.40 to 1.44)``; without interval where it is unknown."""
    if math.isnan(ratio):
        return MISSING
    told = number(ratio, low, high)
    return told if math.isnan(low) else f"{told} ({number(low, low, high)} to {number(high, low, high)})"


def _cells(n: int, adjective: str = "") -> str:
    noun = "cell" if n == 1 else "cells"
    return f"{n:,} {adjective} {noun}" if adjective else f"{n:,} {noun}"


def answer(comparison: Comparison, baseline: str) -> list[str]:
    """One sentence a side: the geometric mean and how many cells are faster, slower, the same or unclear."""
    sentences = []
    for row in records(comparison.sides):
        if not row["n_cells"]:
            sentences.append(f"{escape(row['side'])} and {escape(baseline)} share no completed cell.")
            continue
        told = ratio_text(row["ratio"], row["ratio_low"], row["ratio_high"])
        counts = f"{row['faster']} faster, {row['slower']} slower, {row['same']} the same, {row['unclear']} unclear"
        sentences.append(
            f"**{escape(row['side'])} runs at {told} times the speed of {escape(baseline)}**, geometric mean over"
            f" {_cells(row['n_cells'], 'matched')}: {counts}."
        )
    if comparison.has_regression:
        n_slower = int((comparison.cells["verdict"] == "slower").sum())
        n_lost = int((comparison.outcomes["baseline_status"] == "complete").sum())
        found = [f"{_cells(n_slower)} slower"] if n_slower else []
        found += [f"{_cells(n_lost)} lost"] if n_lost else []
        sentences.append(f"**Regression**: {' and '.join(found)} against {escape(baseline)}.")
    return sentences


def cells_table(comparison: Comparison) -> str:
    """Every matched cell: both medians, the ratio with its interval, p and the verdict."""
    frame = comparison.cells
    if frame.empty:
        return ""
    several = frame["side"].nunique() > 1
    names = labels(frame, varying(frame, comparison.key))
    extras = [
        ("energy_ratio", "energy per item (ratio)"),
        ("memory_ratio", "peak memory (ratio)"),
    ]
    extras = [(c, title) for c, title in extras if frame[c].notna().any()]
    rows = []
    for name, row in zip(names, records(frame), strict=True):
        words = [escape(name), *([escape(row["side"])] if several else [])]
        p = row["p"]
        rows.append([
            *words, seconds_as_ms(row["baseline_s"]), seconds_as_ms(row["other_s"]),
            ratio_text(row["ratio"], row["ratio_low"], row["ratio_high"]),
            MISSING if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}",
            *(number(row[c]) for c, _ in extras), str(row["n_rounds"]), row["verdict"],
        ])  # fmt: skip
    headers = ["cell", *(["side"] if several else []), "baseline (ms/item)", "side (ms/item)" if several else
               "other (ms/item)", "speed ratio (95 % interval)", "p", *(title for _, title in extras), "rounds",
               "verdict"]  # fmt: skip
    return table(headers, rows, n_left=2 if several else 1)


def best_table(best: pd.DataFrame) -> str:
    """The fastest and the most frugal cell of each side, for work that all sides completed."""
    if best.empty:
        return ""
    work = [c for c in WORK if c in best]
    names = varying(best, work)
    frugal = best["items_per_j"].notna().any()
    agrees = best["top1_agreement_ratio"].notna().any()
    rows = []
    for row in records(best):
        chosen = label(row, ["device", "precision", "batch_size", "memory_format", "compile", "learning_rate",
                             "rate_per_s"])  # fmt: skip
        ratio = "1" if is_missing(row["ratio"]) else ratio_text(row["ratio"], row["ratio_low"], row["ratio_high"])
        figures = [number(row["throughput_items_per_s"]), ratio]
        figures += [share(row["top1_agreement_ratio"])] if agrees else []
        figures += [number(row["items_per_j"]), escape(row["frugal_settings"] or MISSING)] if frugal else []
        words = [escape(label(row, names))] if names else []
        rows.append([*words, escape(row["side"]), escape(chosen), *figures])
    headers = [*(["work"] if names else []), "side", "fastest with", "throughput (items/s)",
               "speed ratio (95 % interval)", *(["top-1 agreement"] if agrees else []),
               *(["items per joule (items/J)", "most frugal with"] if frugal else [])]  # fmt: skip
    return table(headers, rows, n_left=3 if names else 2)


def outcomes_table(comparison: Comparison) -> str:
    """Cells that completed on one side only."""
    frame = comparison.outcomes
    names = varying(frame, comparison.key) or ["device", "batch_size"]
    rows = [
        [escape(label(row, names)), escape(row["side"]), row["baseline_status"], row["other_status"],
         escape(row["reason"] or "")]
        for row in records(frame)
    ]  # fmt: skip
    return table(["cell", "side", "in the baseline", "here", "reason"], rows, n_left=5) if rows else ""


def environment_table(sides: Sequence[Side]) -> str:
    """What measured each side; only the lines in which a side has something to say."""

    def values(side: Side, column: str) -> str:
        known = dict.fromkeys(v for v in (row.get(column) for row in side.rows) if v is not None)
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in known)

    rows = [[title, *(escape(values(side, column)) for side in sides)] for title, column in ENVIRONMENT]
    rows = [row for row in rows if any(row[1:])]
    return table(["", *(escape(side.label) for side in sides)], rows, n_left=1 + len(sides)) if rows else ""


def difference_text(found: Difference, baseline: str) -> str:
    """``input_shape: 3x224x224 in A, 3x32x32 in B (4 cells)``."""
    values = [escape("not recorded" if v is None else v) for v in (found.baseline_value, found.other_value)]
    told = f"{values[0]} in {escape(baseline)}, {values[1]} in {escape(found.other)}"
    return f"{escape(found.column)}: {told} ({_cells(found.n_cells)})"


def method(comparison: Comparison) -> list[str]:
    """How the numbers were made, in sentences."""
    few = int((comparison.cells["ratio_low"].isna()).sum()) if len(comparison.cells) else 0
    said = [
        "A ratio is the baseline's median seconds per item over the side's, so above 1 is faster. Its 95 % interval is "
        "a bootstrap that draws whole rounds, since samples of one round resemble each other; of three runs or more of "
        "one cell it draws whole runs.",
        f"Faster and slower take a {_SURE}; p is the larger of Mann-Whitney's on the samples and Welch's t on the "
        "rounds' medians. The same: the whole interval is within that ratio. All else is unclear.",
    ]
    if few:
        said.append(f"{_cells(few)} had fewer than three rounds or no samples: no interval and no verdict.")
    return said


def energy_and_memory(comparison: Comparison) -> list[str]:
    """Geometric means of the joules per item and the peak bytes against the baseline's, where known."""
    said = []
    words = {"energy_ratio": "joules per item", "memory_ratio": "peak memory"}
    for side, group in comparison.cells.groupby("side", sort=False):
        for column, word in words.items():
            known: Any = group[column].dropna()
            if len(known):
                mean = math.exp(sum(math.log(v) for v in known) / len(known))
                said.append(f"{escape(side)} takes {significant(mean, 3)} times the {word} (geometric mean over "
                            f"{_cells(len(known))}).")  # fmt: skip
    return said
