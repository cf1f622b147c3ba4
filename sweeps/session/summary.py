"""The end of a sweep: its summary, its report, how to go on, and the exit code."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.session.reports import report_safely
from sweeps.session.terminal import format_result, say
from sweeps.store.store import ResultStore
from sweeps.text import cells_told

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
RETRIED = ("crashed", "timeout", "error")
FAILED = ("oom", *RETRIED)
MAX_NAMED = 12


def _best_lines(rows: Sequence[dict[str, Any]], device: str) -> list[str]:
    complete = [r for r in rows if r["device"] == device and r["status"] == "complete"]
    lines = []
    for word, column in (("fastest", "throughput_items_per_s"), ("most accurate", "accuracy_best")):
        known = [r for r in complete if r[column] is not None]
        if known:
            best = max(known, key=lambda r: r[column])
            lines.append(f"{word} on {TrialConfig.from_row(best).label}: {format_result(best)}")
    return lines


def _named(cells: Sequence[TrialConfig]) -> str:
    """The cells by name; of many the first few, and where the rest can be read."""
    told = "; ".join(cell.label for cell in cells[:MAX_NAMED])
    left = len(cells) - MAX_NAMED
    return f"{told}; and {left} more, which the next command lists with --dry-run" if left > 0 else told


def resume_command(common: Any, config: SweepConfig, store: ResultStore) -> str:
    """The command line that measures what is missing."""
    output = [] if common.output == Path("results") else ["--output", str(common.output)]
    address = ["--address", common.address] if common.address else []
    return shlex.join(["accelsweep", config.workload, "--resume", store.sweep_id, *output, *address])


def sum_up(
    console: Console, common: Any, config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore,
    *, is_cut: bool, interrupted: bool, failure: str | None = None,
) -> int:  # fmt: skip
    """Print the summary, write the report, and choose the exit code.

    Args:
        console: Where to print.
        common: The options that every workload has.
        config: The sweep.
        cells: The grid; empty where cells are chosen on the way.
        store: Its results.
        is_cut: The sweep ended before it was through.
        interrupted: A signal ended it.
        failure: What ended it, if it could not go on; None otherwise.
    """
    rows = store.rows()
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    keys = {row["trial_key"] for row in rows} - store.incomplete()
    missing = [cell for cell in cells if cell.key not in keys]
    is_unfinished = bool(missing) or (is_cut and not config.is_grid)
    told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none measured"
    n_cells = len(cells) if config.is_grid else len(rows)
    say(console, f"\n{cells_told(n_cells)}: {told}" + (f", {len(missing)} missing" if missing else ""))
    for device in config.device:
        for line in _best_lines(rows, device):
            say(console, line)
    random = sorted({r["model"] for r in rows if r["weights"] == "random"})
    if random:
        say(console, f"random weights (none could be had here): {', '.join(random)}; speed holds, answers mean nothing")
    if missing and not interrupted and failure is None:
        say(console, f"the budget left out: {_named(missing)}")
    resume = resume_command(common, config, store)
    if failure is not None:
        end = f"; go on with: {resume}" if is_unfinished else ""
        say(console, f"ended early: {failure}; {cells_told(len(rows))} kept, above{end}")
    elif is_unfinished:
        say(console, f"go on with: {resume}")
    if (store.folder / "study.db").exists():
        say(console, f"study: optuna-dashboard sqlite:///{store.folder / 'study.db'}")
    if common.report and rows:
        failure = report_safely("report", store.folder, lambda line: say(console, line)) or failure
    if interrupted or failure is not None:
        return EXIT_INTERRUPTED if interrupted else EXIT_FAILED
    failed = any(counts.get(status) for status in FAILED)
    if config.is_batch_auto:  # out of memory is what the search for the largest batch size is after
        failed = any(counts.get(status) for status in RETRIED)
    return EXIT_FAILED if failed or is_unfinished else EXIT_OK
