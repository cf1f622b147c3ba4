"""Tables of a comparison, as Markdown, and how its numbers were made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.cells.matching import Side
from analysis.cells.naming import label, labels, varying
from analysis.cells.rows import records
from analysis.comparison.answer import cells, figure
from analysis.comparison.comparison import MAX_P, MIN_RATIO, Comparison
from analysis.contract.cells import SERVER, SETTINGS, TASK_COLUMNS
from analysis.text import MISSING, escape, is_missing, number, seconds_as_ms, share, table

MAX_ROWS = 500
"""Rows of a table; nobody reads more."""
_MAX_VALUES = 3
_SHARES = (("top1_agreement_ratio", "top-1 agreement"), ("accuracy_best", "held-out accuracy"))
ENVIRONMENT = (
    ("sweeps", "sweep"), ("device", "device_name"), ("driver", "driver_version"), ("processor", "cpu_name"),
    ("CPUs", "n_cpus"), ("threads", "n_threads"), ("allocator", "allocator_settings"),
    ("system", "os"), ("Python", "python_version"), ("torch", "torch_version"),
    ("torchvision", "torchvision_version"), ("accelsweep", "accelsweep_version"),
    ("commit", "git_commit"), ("host", "host"),
)  # fmt: skip
_SURE = f"ratio over {MIN_RATIO} and p under {MAX_P} after Holm's correction for the number of cells"


def cells_table(comparison: Comparison, baseline: str) -> str:
    """Every matched cell: the verdict, both medians, the ratio with its interval and p."""
    frame = comparison.cells
    if frame.empty:
        return ""
    several, shown = frame["side"].nunique() > 1, most_telling(frame)
    names = varying(frame, comparison.key)
    extras = [("energy_ratio", "energy per item (ratio)"), ("memory_ratio", "peak memory (ratio)")]
    extras = [(c, title) for c, title in extras if frame[c].notna().any()]
    rows = [
        [escape(name), *([escape(row["side"])] if several else []), row["verdict"], seconds_as_ms(row["baseline_s"]),
         seconds_as_ms(row["other_s"]), figure(row).full_text, p_text(row["p"]), *(number(row[c]) for c, _ in extras),
         str(row["n_rounds"])]
        for name, row in zip(labels(shown, names), records(shown), strict=True)
    ]  # fmt: skip
    unit = "ms/request" if "scenario" in frame and (frame["scenario"] == SERVER).all() else "ms/item"
    other = "side" if several else escape(frame["side"].iloc[0])
    headers = ["cell", *(["side"] if several else []), "verdict", f"{escape(baseline)} ({unit})", f"{other} ({unit})",
               "speed ratio (95 % interval)", "p", *(title for _, title in extras), "rounds or sweeps"]  # fmt: skip
    text = table(headers, rows, n_left=3 if several else 2)
    left = len(frame) - len(shown)
    return f"{text}\n\n{left:,} more cells are nearer to 1 or less certain." if left else text


def most_telling(frame: pd.DataFrame, n: int = MAX_ROWS) -> pd.DataFrame:
    """The ``n`` cells furthest from a ratio of 1, certain differences first chosen; in their own order."""
    is_unsure = ~frame["verdict"].isin(["faster", "slower"])
    order = np.lexsort((-np.abs(np.log(frame["ratio"].to_numpy(np.float64))), is_unsure))
    return frame.iloc[np.sort(order[:n])]


def p_text(p: float) -> str:
    """A p value; of the smallest no more than that they are."""
    return MISSING if is_missing(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def best_table(best: pd.DataFrame) -> str:
    """The fastest and the most frugal cell of each side, for work that all sides completed."""
    if best.empty:
        return ""
    names = varying(best, [c for c in TASK_COLUMNS if c in best])
    frugal = best["items_per_j"].notna().any()
    shares = [(c, title) for c, title in _SHARES if best[c].notna().any()]
    rows = []
    for row in records(best):
        is_baseline = row["side"] == best["side"].iloc[0]
        figures = [number(row["throughput_items_per_s"]), "1" if is_baseline else figure(row).full_text]
        figures += [share(row[c]) for c, _ in shares]
        figures += [number(row["items_per_j"])] if frugal else []
        words = [escape(label(row, names))] if names else []
        words += [escape(row["side"]), escape(label(row, SETTINGS))]
        words += [_frugal_words(row)] if frugal else []
        rows.append([*words, *figures])
    headers = [*(["work"] if names else []), "side", "fastest with",
               *(["most frugal with (counter)"] if frugal else []),
               "throughput (items/s)", "speed ratio (95 % interval)", *(title for _, title in shares),
               *(["energy (items/J)"] if frugal else [])]  # fmt: skip
    return table(headers, rows, n_left=2 + bool(names) + bool(frugal))


def _frugal_words(row: dict[str, object]) -> str:
    if is_missing(row["frugal_settings"]):
        return MISSING
    domain = row["energy_domain"]
    return escape(row["frugal_settings"]) + ("" if is_missing(domain) else f" ({escape(domain)})")


def best_note(across: Sequence[str]) -> str:
    """Which settings each side was free to choose."""
    fixed = [column.replace("_", " ") for column in across if column in SETTINGS]
    if not fixed:
        return "Device, precision, batch size and all other settings are each side's to choose."
    return f"All settings but the {' and the '.join(map(escape, fixed))} are each side's to choose."


def outcomes_table(comparison: Comparison, baseline: str) -> str:
    """Cells that completed on one side only."""
    frame = comparison.outcomes
    names = varying(frame, comparison.key) or ["device", "batch_size"]
    rows = [
        [escape(label(row, names)), escape(row["side"]), row["baseline_status"], row["other_status"],
         escape(row["reason"] or "")]
        for row in records(frame.head(MAX_ROWS))
    ]  # fmt: skip
    if not rows:
        return ""
    text = table(["cell", "side", f"in {escape(baseline)}", "here", "reason"], rows, n_left=5)
    left = len(frame) - len(rows)
    return f"{text}\n\n{left:,} more cells." if left else text


def environment_table(sides: Sequence[Side]) -> str:
    """What measured each side; only the lines in which a side has something to say."""

    def values(side: Side, column: str) -> str:
        known = dict.fromkeys(v for v in (row.get(column) for row in side.rows) if v is not None)
        told = [f"{v:g}" if isinstance(v, float) else str(v) for v in known]
        more = [f"and {len(told) - _MAX_VALUES} more"] if len(told) > _MAX_VALUES else []
        return ", ".join([*told[:_MAX_VALUES], *more])

    rows = [[title, *(escape(values(side, column)) for side in sides)] for title, column in ENVIRONMENT]
    rows = [row for row in rows if any(row[1:])]
    return table(["", *(escape(side.label) for side in sides)], rows, n_left=1 + len(sides)) if rows else ""


def method(comparison: Comparison) -> list[str]:
    """How the numbers were made, in sentences."""
    few = int(comparison.cells["ratio_low"].isna().sum())
    said = [
        "The ratio is of median times, so above 1 the side is faster. Its 95 % interval is a bootstrap that draws "
        "whole rounds, since samples of one round resemble each other; of three sweeps or more of one cell it draws "
        "sweeps. With fewer than five of them it is Student's t on the logarithms of their medians.",
        f"Faster and slower take a ratio over {MIN_RATIO} and p under {MAX_P}, after Holm's correction for the number "
        "of cells; p is the larger of Mann-Whitney's on the samples and Welch's t on the rounds' medians. The same: "
        f"the whole interval is within {100 * (MIN_RATIO - 1):.0f} %. All else is unclear.",
    ]
    if few:
        said.append(f"{cells(few)} had fewer than three rounds or no samples: no interval and no verdict.")
    return said
