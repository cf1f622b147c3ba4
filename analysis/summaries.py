"""From a sweep's frame to the numbers that a report states; no drawing, no text layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.cells import label, present, varying
from analysis.render import is_missing

STATUSES = ("complete", "pruned", "unsupported", "oom", "timeout", "crashed", "error")
FAILED = ("oom", "timeout", "crashed", "error")
TASK_COLUMNS = ("workload", "scenario", "model", "pipeline", "tune")
"""What is done; speeds of different tasks are not compared."""
SETTING_COLUMNS = ("device", "precision", "batch_size", "memory_format", "compile", "learning_rate", "rate_per_s")
"""How it is done; what a user can choose."""
CLOSE_RATIO = 1.02

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best cell of one task on one device.

    Attributes:
        task: The task's columns that vary in the sweep.
        row: The best cell.
        over_fp32: Its speed over the fastest fp32 cell of the same task and device; None if it is fp32 or none was.
        over_cpu: Its speed over the fastest CPU cell of the same task; None on the CPU.
    """

    task: str
    row: Row
    over_fp32: float | None
    over_cpu: float | None


def records(frame: pd.DataFrame) -> list[Row]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """The cells that were measured to their end."""
    return frame[frame["status"] == "complete"]


def status_counts(frame: pd.DataFrame) -> dict[str, int]:
    """Cells by status, in a fixed order, those that occur."""
    counts = frame["status"].value_counts()
    return {status: int(counts[status]) for status in STATUSES if counts.get(status)}


def task_columns(frame: pd.DataFrame) -> list[str]:
    """The task columns that differ within the sweep."""
    return varying(frame, TASK_COLUMNS)


def setting_label(frame: pd.DataFrame, row: Row) -> str:
    """The settings of a row that vary in the frame, in words; device, precision and batch size always."""
    names = [c for c in SETTING_COLUMNS if c in {"device", "precision", "batch_size"} or c in varying(frame)]
    return label(row, names)


def _fastest(frame: pd.DataFrame) -> Row | None:
    known = frame[frame["throughput_items_per_s"].notna()]
    if known.empty:
        return None
    return {str(k): v for k, v in known.loc[known["throughput_items_per_s"].idxmax()].items()}


def _ratio(row: Row, other: Row | None) -> float | None:
    if other is None or other.get("trial_key") == row.get("trial_key"):
        return None
    return float(row["throughput_items_per_s"]) / float(other["throughput_items_per_s"])


def tasks(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The frame by task, each with its name in words, in the order of the grid."""
    names = task_columns(frame)
    if not names:
        return [("", frame)] if len(frame) else []
    groups = frame.groupby(names, sort=False, dropna=False)
    return [(label({str(k): v for k, v in group.iloc[0].items()}, names), group) for _, group in groups]


def best_per_device(frame: pd.DataFrame) -> list[Best]:
    """For each task and device the fastest complete cell, and what it gains; fastest device first."""
    found = []
    for task, group in tasks(complete(frame)):
        cpu = _fastest(group[group["device"] == "cpu"])
        of_task = []
        for device, cells in group.groupby("device", sort=False):
            row = _fastest(cells)
            if row is None:
                continue
            fp32 = _fastest(cells[cells["precision"] == "fp32"])
            over_fp32 = None if row["precision"] == "fp32" else _ratio(row, fp32)
            of_task.append(
                Best(task=task, row=row, over_fp32=over_fp32, over_cpu=None if device == "cpu" else _ratio(row, cpu))
            )
        found += sorted(of_task, key=lambda b: -float(b.row["throughput_items_per_s"]))
    return found


def best_by(frame: pd.DataFrame, column: str, *, smallest: bool = False) -> Row | None:
    """The complete cell with the largest (or smallest) value of a column; None where none is known."""
    known = complete(frame)
    known = known[known[column].notna()]
    if known.empty:
        return None
    index = known[column].idxmin() if smallest else known[column].idxmax()
    return {str(k): v for k, v in known.loc[index].items()}


def memory_bytes(frame: pd.DataFrame) -> pd.Series:
    """Peak memory of each cell: on the device where it counts its own, else of the process."""
    return frame["device_peak_allocated_bytes"].fillna(frame["peak_rss_bytes"])


def within_limits(
    frame: pd.DataFrame, *, max_latency_ms: float | None = None, max_memory_gb: float | None = None,
    max_energy_j: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The complete cells that hold every limit given; a cell whose figure is unknown does not hold its limit.

    The latency is the 99th percentile where there are samples enough, else the median step.
    """
    kept = complete(frame)
    if max_latency_ms is not None:
        kept = kept[kept["latency_p99_s"].fillna(kept["step_median_s"]) * 1e3 <= max_latency_ms]
    if max_memory_gb is not None:
        kept = kept[memory_bytes(kept) <= max_memory_gb * 1e9]
    if max_energy_j is not None:
        kept = kept[kept["energy_per_item_j"] <= max_energy_j]
    return kept


def caveats(frame: pd.DataFrame, n_cells: int | None, unreadable: Sequence[str]) -> list[str]:
    """What a reader must know before believing the numbers, most important first."""
    done, said = complete(frame), []

    def cells(mask: pd.Series) -> str:
        return f"{int(mask.sum())} of {len(done)} cells"

    if (done["timing_verified"] == False).any():  # noqa: E712 (null is neither)
        devices = ", ".join(sorted(done.loc[done["timing_verified"] == False, "device"].unique()))  # noqa: E712
        said.append(f"The timer did not pass its proof on {devices}: its times cannot be trusted.")
    if (done["input_is_synthetic"] == True).any():  # noqa: E712
        said.append("Some input was random numbers, as a flag asked.")
    if (done["weights"] == "random").any():
        models = ", ".join(sorted(done.loc[done["weights"] == "random", "model"].unique()))
        said.append(f"Random weights, since none could be had: {models}. Speeds hold; answers mean nothing.")
    if unreadable:
        said.append(f"Files that could not be read and were left out: {', '.join(unreadable)}.")
    if n_cells is not None and len(frame) < n_cells:
        said.append(f"{n_cells - len(frame)} of the {n_cells} cells asked for are missing: the sweep did not end.")
    skipped = frame["n_images_skipped"].max()
    if not is_missing(skipped) and skipped > 0:
        said.append(f"{int(skipped)} input images did not decode and were left out.")
    for text in ("very unstable", "unstable"):
        mask = done["stability"] == text
        if mask.any():
            over = "25" if text == "very unstable" else "10"
            said.append(f"{cells(mask)} are {text}: the middle half of the steps spreads over {over} % of the median.")
    for column, text in (("is_throttled", "ran while the device throttled"), ("is_drifting", "drifted while measured")):
        mask = done[column] == True  # noqa: E712
        if mask.any():
            said.append(f"{cells(mask)} {text}.")
    busy = done["other_load_ratio"] > 0.1
    if busy.any():
        said.append(f"{cells(busy)} shared the machine with other work that took over 10 % of its CPU time.")
    if len(frame) and frame["host"].nunique() > 1:
        said.append(f"The cells come from {frame['host'].nunique()} machines.")
    return said


def curves(frame: pd.DataFrame, rounds: pd.DataFrame) -> list[tuple[Row, pd.DataFrame]]:
    """For each cell with held-out accuracies its row and its rounds in order."""
    scored = rounds[rounds["accuracy"].notna()] if "accuracy" in rounds else rounds.iloc[:0]
    by_key = dict(list(scored.groupby("trial_key", sort=False)))
    return [(row, by_key[row["trial_key"]]) for row in records(frame) if row["trial_key"] in by_key]


def columns_with_values(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Those of the columns that at least one row has a value for."""
    return present(frame, columns)
