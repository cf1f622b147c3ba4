"""The tables of a sweep's report, as Markdown."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from analysis import summaries
from analysis.cells import label
from analysis.render import MISSING, escape, gibibytes, is_missing, number, seconds_as_ms, share, table

ENVIRONMENT = (
    ("device", "device_name"), ("driver", "driver_version"), ("processor", "cpu_name"), ("CPUs", "n_cpus"),
    ("threads", "n_threads"), ("system", "os"), ("Python", "python_version"), ("torch", "torch_version"),
    ("torchvision", "torchvision_version"), ("Ray", "ray_version"), ("accelsweep", "accelsweep_version"),
    ("commit", "git_commit"), ("host", "host"),
)  # fmt: skip
MAX_FAILURES = 40
WORD_COLUMNS = (*summaries.TASK_COLUMNS, "device", "precision", "memory_format", "compile")


def _throughput(row: summaries.Row) -> str:
    return number(row["throughput_items_per_s"], row["throughput_low_items_per_s"], row["throughput_high_items_per_s"])


def _interval(row: summaries.Row) -> str:
    low, high = row["throughput_low_items_per_s"], row["throughput_high_items_per_s"]
    return MISSING if is_missing(low) else f"{number(low, low, high)} to {number(high, low, high)}"


def _tail(row: summaries.Row) -> str:
    """The 99th percentile in ms, or how many samples there were instead of the 662 it takes."""
    if not is_missing(row["latency_p99_s"]):
        return seconds_as_ms(row["latency_p99_s"])
    return MISSING if is_missing(row["n_samples"]) else f"{MISSING} (n={int(row['n_samples'])})"


def settings_table(frame: pd.DataFrame) -> str:
    """Every cell measured with its figures; columns that no cell has a value for are left out."""
    done = frame[frame["status"].isin(["complete", "pruned"])]
    if done.empty:
        return ""
    done = done.assign(peak=summaries.memory_bytes(done))
    always = {"device", "precision", *summaries.task_columns(frame)}
    words = [c for c in WORD_COLUMNS if c in always or done[c].nunique() > 1]
    figures: list[tuple[str, str, Callable[[summaries.Row], str]]] = [
        ("learning_rate", "learning rate", lambda r: number(r["learning_rate"])),
        ("batch_size", "batch size", lambda r: f"{int(r['batch_size'])}"),
        ("throughput_items_per_s", "throughput (items/s)", _throughput),
        ("throughput_low_items_per_s", "95 % interval (items/s)", _interval),
        (
            "step_median_s",
            "median step (ms)",
            lambda r: seconds_as_ms(r["step_median_s"], r["step_median_low_s"], r["step_median_high_s"]),
        ),
        ("n_samples", "p99 (ms)", _tail),
        ("peak", "peak memory (GiB)", lambda r: gibibytes(r["peak"])),
        ("energy_per_item_j", "energy (J/item)", lambda r: number(r["energy_per_item_j"])),
        ("accuracy_best", "best accuracy", lambda r: share(r["accuracy_best"])),
        ("time_to_target_s", "time to target (s)", lambda r: number(r["time_to_target_s"])),
        ("top1_agreement_ratio", "top-1 agreement", lambda r: share(r["top1_agreement_ratio"])),
        ("flop_share_ratio", "share of FLOP/s ceiling", lambda r: share(r["flop_share_ratio"])),
    ]
    has = set(summaries.columns_with_values(done, [column for column, _, _ in figures]))
    if done["learning_rate"].nunique() < 2:
        has.discard("learning_rate")
    shown = [(title, show) for column, title, show in figures if column in has]
    if (done["status"] == "pruned").any():
        shown.append(("status", lambda r: escape(r["status"])))
    rows = [[*(escape(row[c]) for c in words), *(show(row) for _, show in shown)] for row in summaries.records(done)]
    headers = [*(c.replace("_", " ") for c in words), *(title for title, _ in shown)]
    return table(headers, rows, n_left=len(words))


def grid_table(frame: pd.DataFrame) -> str:
    """Cells by device and precision (rows) and status (columns)."""
    statuses = list(summaries.status_counts(frame))
    rows = []
    for (device, precision), group in frame.groupby(["device", "precision"], sort=False):
        counts = summaries.status_counts(group)
        rows.append([escape(device), escape(precision), *(str(counts.get(s, 0)) for s in statuses), str(len(group))])
    return table(["device", "precision", *statuses, "cells"], rows, n_left=2) if rows else ""


def failures_table(frame: pd.DataFrame) -> str:
    """What did not work, with its reason; at most MAX_FAILURES rows."""
    failed = frame[~frame["status"].isin(["complete", "pruned"])]
    rows = []
    for row in summaries.records(failed.head(MAX_FAILURES)):
        said = [row[c] for c in ("status_reason", "error_type", "error_message") if not is_missing(row[c])]
        text = ": ".join(str(x) for i, x in enumerate(said) if x not in said[:i])
        task = label(row, summaries.task_columns(frame)) if summaries.task_columns(frame) else ""
        cell = ", ".join(x for x in (task, summaries.setting_label(frame, row)) if x)
        rows.append([escape(cell), escape(row["status"]), escape(text[:240])])
    return table(["cell", "status", "reason"], rows, n_left=3) if rows else ""


def environment_table(frame: pd.DataFrame) -> str:
    """What measured: one column per device and machine."""
    names = [c for _, c in ENVIRONMENT if c in frame]
    known = frame.dropna(subset=["torch_version"]).drop_duplicates(["device", "host", "torch_version"])
    if known.empty:
        return ""
    devices = summaries.records(known)
    rows = [
        [title, *("" if is_missing(d[column]) else escape(d[column]) for d in devices)]
        for title, column in ENVIRONMENT if column in names
    ]  # fmt: skip
    return table(["", *(escape(d["device"]) for d in devices)], rows, n_left=1 + len(devices))
