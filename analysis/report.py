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

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules

import pandas as pd

from analysis import figures, summaries, tables
from analysis.load import find_sweep, load_rounds, load_sweep, run_main
from analysis.page import write_html
from analysis.render import (
    escape,
    number,
    render,
    share,
    significant,
)


def _rate(row: dict[str, Any]) -> str:
    value = number(
        row["throughput_items_per_s"], row.get("throughput_low_items_per_s"), row.get("throughput_high_items_per_s")
    )
    return f"{value} {escape(row.get('item') or 'items')}/s"


def _setting(frame: pd.DataFrame, row: dict[str, Any]) -> str:
    return escape(summaries.setting_label(frame, row))


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
        settings = _setting(frame, first.row)
        sentences.append(f"On this machine {subject} is fastest with **{settings}**: {_rate(first.row)}{gain}.")
        sentences += [
            f"On {escape(other.row['device'])} the best is {_setting(frame, other.row)}: {_rate(other.row)}."
            for other in of_task[1:]
        ]
    accurate = summaries.best_by(frame, "accuracy_best")
    if accurate is not None:
        told = _setting(frame, accurate)
        sentences.append(f"The best held-out accuracy is {share(accurate['accuracy_best'])}, with {told}.")
    quick = summaries.best_by(frame, "time_to_target_s", smallest=True)
    if quick is not None:
        told, target = _setting(frame, quick), share(quick["target_accuracy"])
        after = f"after {significant(quick['time_to_target_s'])} s of training"
        sentences.append(f"{target} held-out accuracy comes soonest with {told}: {after}.")
    frugal = summaries.best_by(frame, "items_per_j")
    if frugal is not None:
        told = _setting(frame, frugal)
        sentences.append(f"Most {escape(frugal['item'])} per joule: {significant(frugal['items_per_j'])}, with {told}.")
    else:
        sentences.append("Energy is unknown here: no counter could be read.")
    return sentences


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
        device = escape(b.row["device"])
        sentences.append(f"{task}within {told}, on {device}: **{_setting(frame, b.row)}**, {_rate(b.row)}.")
    return sentences


def build(frame: pd.DataFrame, rounds: pd.DataFrame, folder: Path, limits: dict[str, float | None]) -> str:
    """The report's Markdown; its figures are written into ``folder/figures``."""
    description = frame.attrs.get("description", {})
    n_cells, asked = description.get("n_cells"), description.get("config", {})
    drawn = figures.draw_all(frame, rounds, folder / "figures")
    return render(
        "report.md.j2",
        title=escape(frame["workload"].iloc[0] if len(frame) else asked.get("workload", "empty sweep")),
        answer=answer(frame),
        caveats=summaries.caveats(frame, n_cells, frame.attrs.get("unreadable", [])),
        recommendations=recommendations(frame, limits),
        settings=tables.settings_table(frame),
        figures=[(f"figures/{path.name}", title) for path, title in drawn],
        grid=tables.grid_table(frame),
        n_cells=len(frame),
        counts=", ".join(f"{n} {status}" for status, n in summaries.status_counts(frame).items()),
        failures=tables.failures_table(frame),
        n_failures=int((~frame["status"].isin(["complete", "pruned"])).sum()),
        max_failures=tables.MAX_FAILURES,
        environment=tables.environment_table(frame),
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
