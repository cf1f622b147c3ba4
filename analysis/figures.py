"""Which figures a sweep's report has: throughput and latency over batch size, accuracy over time."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from analysis import plots, summaries
from analysis.cells import label, varying
from analysis.plots import Line
from analysis.render import is_missing

LINE_COLUMNS = ("device", "precision", "memory_format", "compile", "learning_rate")
MAX_LINES = 12


def _lines(frame: pd.DataFrame, value: str, low: str, high: str, scale: float = 1.0) -> list[Line]:
    """One line per setting other than the batch size, coloured by device (by precision on a single device)."""
    names = [c for c in LINE_COLUMNS if c in {"device", "precision"} or c in varying(frame)]
    by_precision = frame["device"].nunique() == 1
    lines = []
    for _, group in frame.groupby(names, sort=False, dropna=False):
        cells = group[group[value].notna()].sort_values("batch_size")
        if cells.empty:
            continue
        row = {str(k): v for k, v in cells.iloc[0].items()}
        bounds = [[None if is_missing(v) else float(v) * scale for v in cells[c]] for c in (low, high)]
        lines.append(
            Line(
                label=label(row, names), x=cells["batch_size"].tolist(), y=(cells[value] * scale).tolist(),
                low=bounds[0], high=bounds[1], group=str(row["precision" if by_precision else "device"]),
            )
        )  # fmt: skip
    return lines[:MAX_LINES]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def draw_all(frame: pd.DataFrame, rounds: pd.DataFrame, folder: Path) -> list[tuple[Path, str]]:
    """Draw every figure that the sweep has the numbers for; (file, alternative text) of each, in order."""
    drawn: list[tuple[Path, str]] = []
    done = summaries.complete(frame)
    for task, group in summaries.tasks(done):
        of_task = f", {task}" if task else ""
        item = str(group["item"].dropna().iloc[0]) if group["item"].notna().any() else "items"
        if group["batch_size"].nunique() > 1:
            columns = ("throughput_items_per_s", "throughput_low_items_per_s", "throughput_high_items_per_s")
            lines = _lines(group, *columns)
            if lines:
                path = folder / f"throughput{'-' + _slug(task) if task else ''}.png"
                title = f"Throughput over batch size{of_task}"
                plots.lines_over_batch(path, lines, title=f"{title} (95 % intervals)", y_label=f"throughput ({item}/s)")
                drawn.append((path, title))
    with_accuracy = summaries.curves(done, rounds)
    for task, group in summaries.tasks(done):
        keys = set(group["trial_key"])
        names = [c for c in (*LINE_COLUMNS, "batch_size") if c == "batch_size" or c in varying(done)] or ["device"]
        lines = [
            Line(
                label=label(row, names), x=curve["elapsed_s"].tolist(), y=(100 * curve["accuracy"]).tolist(),
                group=str(row["precision"]) if done["device"].nunique() == 1 else str(row["device"]),
            )
            for row, curve in with_accuracy
            if row["trial_key"] in keys
        ]  # fmt: skip
        if lines:
            target = group["target_accuracy"].dropna()
            of_task = f", {task}" if task else ""
            path = folder / f"accuracy{'-' + _slug(task) if task else ''}.png"
            title = f"Held-out accuracy over training time{of_task}"
            goal = None if target.empty else float(target.iloc[0])
            plots.accuracy_over_time(path, lines[:MAX_LINES], target=goal, title=title)
            drawn.append((path, title))
    return drawn
