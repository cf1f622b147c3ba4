"""The whole story of a sweep on one page: ``python analysis/report.py [RESULTS]``.

Numbers come from ``summaries.py``, figures from ``plots.py``; this file chooses and words.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd

from analysis import figures, summaries
from analysis.load import find_sweep, load_rounds, load_sweep, run_main
from analysis.render import (
    escape,
    gibibytes,
    is_missing,
    number,
    render,
    seconds_as_ms,
    share,
    significant,
    table,
)

ENVIRONMENT = (
    ("device", "device_name"), ("driver", "driver_version"), ("processor", "cpu_name"), ("CPUs", "n_cpus"),
    ("threads", "n_threads"), ("system", "os"), ("Python", "python_version"), ("torch", "torch_version"),
    ("torchvision", "torchvision_version"), ("Ray", "ray_version"), ("accelsweep", "accelsweep_version"),
    ("commit", "git_commit"), ("host", "host"),
)  # fmt: skip
MAX_FAILURES = 40


def _rate(row: dict[str, Any]) -> str:
    value = number(
        row["throughput_items_per_s"], row.get("throughput_low_items_per_s"), row.get("throughput_high_items_per_s")
    )
    return f"{value} {escape(row.get('item') or 'items')}/s"


def _times(ratio: float) -> str:
    return f"{significant(ratio, 2)} times"


def answer(frame: pd.DataFrame) -> list[str]:
    """The answer in sentences, the most important first; one bullet per task where there are several."""
    best = summaries.best_per_device(frame)
    if not best:
        return ["No cell of this sweep was measured to its end, so there is nothing to recommend."]
    workload = escape(frame["workload"].iloc[0])
    sentences = []
    for task, _ in summaries.tasks(summaries.complete(frame)):
        of_task = [b for b in best if b.task == task]
        if not of_task:
            continue
        first = of_task[0]
        gains = []
        if first.over_fp32 is not None:
            gains.append(f"{_times(first.over_fp32)} fp32")
        if first.over_cpu is not None:
            gains.append(f"{_times(first.over_cpu)} the CPU")
        gain = f", {' and '.join(gains)}" if gains else ""
        subject = f"{workload} ({escape(task)})" if task else workload
        settings = escape(summaries.setting_label(frame, first.row))
        sentences.append(f"On this machine {subject} is fastest with **{settings}**: {_rate(first.row)}{gain}.")
        sentences += [
            f"On {escape(other.row['device'])} the best is {escape(summaries.setting_label(frame, other.row))}: {_rate(other.row)}."
            for other in of_task[1:]
        ]
    accurate = summaries.best_by(frame, "accuracy_best")
    if accurate is not None:
        told = escape(summaries.setting_label(frame, accurate))
        sentences.append(f"The best held-out accuracy is {share(accurate['accuracy_best'])}, with {told}.")
    quick = summaries.best_by(frame, "time_to_target_s", smallest=True)
    if quick is not None:
        told, target = escape(summaries.setting_label(frame, quick)), share(quick["target_accuracy"])
        sentences.append(
            f"{target} held-out accuracy comes soonest with {told}: after {significant(quick['time_to_target_s'])} s of training."
        )
    frugal = summaries.best_by(frame, "items_per_j")
    if frugal is not None:
        told = escape(summaries.setting_label(frame, frugal))
        sentences.append(f"Most {escape(frugal['item'])} per joule: {significant(frugal['items_per_j'])}, with {told}.")
    else:
        sentences.append("Energy is unknown here: no counter could be read.")
    return sentences


def settings_table(frame: pd.DataFrame) -> str:
    """Every cell with its figures, by device and precision."""
    done = frame[frame["status"].isin(["complete", "pruned"])]
    words = [
        c
        for c in (*summaries.TASK_COLUMNS, "device", "precision", "memory_format", "compile")
        if c in {"device", "precision"} or c in summaries.task_columns(frame) or done[c].nunique() > 1
    ]
    headers = [c.replace("_", " ") for c in words] + [
        "batch size",
        "throughput (items/s)",
        "95 % interval",
        "median step (ms)",
        "p99 (ms)",
        "peak memory (GiB)",
    ]
    has = {
        c: c in summaries.columns_with_values(done, [c])
        for c in (
            "learning_rate",
            "energy_per_item_j",
            "accuracy_best",
            "time_to_target_s",
            "top1_agreement_ratio",
            "flop_share_ratio",
        )
    }
    extra = [
        ("energy_per_item_j", "energy (J/item)", number), ("accuracy_best", "best accuracy", share),
        ("time_to_target_s", "time to target (s)", number), ("top1_agreement_ratio", "top-1 agreement", share),
        ("flop_share_ratio", "share of FLOP/s ceiling", share),
    ]  # fmt: skip
    headers += [title for column, title, _ in extra if has[column]]
    if done["learning_rate"].nunique() > 1:
        headers.insert(len(words), "learning rate")
    if (done["status"] == "pruned").any():
        headers.append("status")
    rows = []
    peak = summaries.memory_bytes(done)
    for (index, _), row in zip(done.iterrows(), summaries.records(done), strict=True):
        low, high = row["throughput_low_items_per_s"], row["throughput_high_items_per_s"]
        cells = [escape(row[c]) for c in words]
        if done["learning_rate"].nunique() > 1:
            cells.append(number(row["learning_rate"]))
        cells += [
            number(row["batch_size"]) if is_missing(row["batch_size"]) else f"{int(row['batch_size'])}",
            number(row["throughput_items_per_s"], low, high),
            "n/a" if is_missing(low) else f"{number(low, low, high)} to {number(high, low, high)}",
            seconds_as_ms(row["step_median_s"], row["step_median_low_s"], row["step_median_high_s"]),
            seconds_as_ms(row["latency_p99_s"]) if not is_missing(row["latency_p99_s"]) else f"n/a (n={int(row['n_samples'] or 0)})",
            gibibytes(peak[index]),
        ]  # fmt: skip
        cells += [show(row[column]) for column, _, show in extra if has[column]]
        if (done["status"] == "pruned").any():
            cells.append(escape(row["status"]))
        rows.append(cells)
    return table(headers, rows, n_left=len(words)) if rows else ""


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


def recommendations(frame: pd.DataFrame, limits: dict[str, float | None]) -> list[str]:
    """The fastest setting of each task under the limits given; empty without limits."""
    asked = {name: value for name, value in limits.items() if value is not None}
    if not asked:
        return []
    words = {"max_latency_ms": "a latency of {} ms (p99, or the median step where samples are too few)",
             "max_memory_gb": "{} GB of memory", "max_energy_j": "{} J per item"}  # fmt: skip
    told = " and ".join(words[name].format(f"{value:g}") for name, value in asked.items())
    kept = summaries.within_limits(frame, **asked)
    best = summaries.best_per_device(kept) if len(kept) else []
    if not best:
        return [f"No cell holds {told}."]
    sentences = []
    for b in best:
        task = f"{escape(b.task)}: " if b.task else ""
        sentences.append(
            f"{task}within {told}, on {escape(b.row['device'])}: **{escape(summaries.setting_label(frame, b.row))}**, {_rate(b.row)}."
        )
    return sentences


def build(frame: pd.DataFrame, rounds: pd.DataFrame, folder: Path, limits: dict[str, float | None]) -> str:
    """The report's Markdown; its figures are written into ``folder/figures``."""
    description = frame.attrs.get("description", {})
    n_cells = description.get("n_cells")
    drawn = figures.draw_all(frame, rounds, folder / "figures")
    return render(
        "report.md.j2",
        title=f"{frame['workload'].iloc[0] if len(frame) else description.get('config', {}).get('workload', 'empty sweep')}",
        answer=answer(frame),
        caveats=summaries.caveats(frame, n_cells, frame.attrs.get("unreadable", [])),
        recommendations=recommendations(frame, limits),
        settings=settings_table(frame),
        figures=[(f"figures/{path.name}", title) for path, title in drawn],
        grid=grid_table(frame),
        n_cells=len(frame),
        counts=", ".join(f"{n} {status}" for status, n in summaries.status_counts(frame).items()),
        failures=failures_table(frame),
        n_failures=int((~frame["status"].isin(["complete", "pruned"])).sum()),
        max_failures=MAX_FAILURES,
        environment=environment_table(frame),
        command=shlex.join(description.get("command", [])),
        sweep_id=description.get("sweep_id", ""),
    )


def write_report(path: str | Path, output: Path | None = None, *, html: bool = False, **limits: float | None) -> Path:
    """Write a sweep's report.

    Args:
        path: A sweep's folder, or a results folder (its latest sweep).
        output: The Markdown file; ``report.md`` in the sweep's folder by default. Figures go beside it.
        html: Write one self-contained HTML file too, and return that.
        limits: ``max_latency_ms``, ``max_memory_gb``, ``max_energy_j``.

    Raises:
        AnalysisError: If there is no sweep.
    """
    sweep = find_sweep(path)
    frame = load_sweep(sweep)
    target = output or (sweep if sweep.is_dir() else sweep.parent) / "report.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = build(frame, load_rounds(sweep), target.parent, limits)
    target.write_text(text, encoding="utf-8")
    if html:
        from analysis.html import write_html

        return write_html(target)
    return target


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the Markdown report of a sweep.")
    parser.add_argument(
        "results", nargs="?", default="results", help="a sweep's folder, or a results folder: its latest sweep"
    )
    parser.add_argument("--output", type=Path, help="the Markdown file (default: report.md in the sweep's folder)")
    parser.add_argument("--html", action="store_true", help="also write one self-contained HTML file")
    parser.add_argument("--max-latency-ms", type=float, help="recommend among the cells within this latency")
    parser.add_argument("--max-memory-gb", type=float, help="recommend among the cells within this peak memory")
    parser.add_argument("--max-energy-j", type=float, help="recommend among the cells within this energy per item")
    options = parser.parse_args(arguments)
    limits = {name: getattr(options, name) for name in ("max_latency_ms", "max_memory_gb", "max_energy_j")}
    path = write_report(options.results, options.output, html=options.html, **limits)
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run_main(main))
