"""The end of a sweep: its summary, its report, how to go on, and the exit code."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.contract.cells import BOUNDS_BATCH, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, FAILED
from sweeps.plan.config import TrialConfig
from sweeps.scheduling.endings import Interrupted, SweepLostError
from sweeps.session.best import best_lines
from sweeps.session.reports import report_safely
from sweeps.session.sweep import Sweep
from sweeps.text import cells_told

MAX_NAMED = 12


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How the measuring of a sweep ended."""

    is_over_budget: bool = False
    is_interrupted: bool = False
    failure: str | None = None
    """What ended it, if it could not go on; None otherwise."""

    @classmethod
    def of(cls, measure: Callable[[], bool]) -> Ending:
        """How ``measure`` ended, which says whether the budget ended it; nothing of what it measured is lost."""
        try:
            return cls(is_over_budget=measure())
        except (Interrupted, KeyboardInterrupt):
            return cls(is_interrupted=True)
        except OSError as error:
            return cls(failure=f"results cannot be written ({error.strerror or error})")
        except SweepLostError as error:
            return cls(failure=str(error))


def _named(cells: Sequence[TrialConfig]) -> str:
    """The cells by name; of many the first few, and where the rest can be read."""
    told = "; ".join(cell.label for cell in cells[:MAX_NAMED])
    left = len(cells) - MAX_NAMED
    return f"{told}; and {left} more, which the next command lists with --dry-run" if left > 0 else told


def resume_command(sweep: Sweep) -> str:
    """The command line that measures what is missing."""
    return command_line(sweep.config.workload, sweep.store.sweep_id, sweep.options.output, sweep.options.address)


def command_line(name: str, sweep_id: str, output: Path, address: str = "") -> str:
    """The command that goes on with a sweep; options that are their defaults are left out."""
    told = {"--output": "" if output == Path("results") else str(output), "--address": address}
    more = [word for option, value in told.items() if value for word in (option, value)]
    return shlex.join(["accelsweep", name, "--resume", sweep_id, *more])


def sum_up(sweep: Sweep, ending: Ending) -> int:
    """Print the summary, write the report, and choose the exit code."""
    rows = sweep.store.rows()
    recorded = {row["trial_key"] for row in rows} - sweep.store.incomplete()
    missing = [cell for cell in sweep.cells if cell.key not in recorded]
    is_unfinished = bool(missing) or (ending != Ending() and not sweep.config.is_grid)
    _tell_results(sweep, rows, len(missing))
    if is_unfinished or ending.failure is not None:
        _tell_how_to_go_on(sweep, ending, len(rows), missing, is_unfinished=is_unfinished)
    if (sweep.store.folder / "study.db").exists():
        sweep.say(f"study: optuna-dashboard sqlite:///{sweep.store.folder / 'study.db'}")
    failure = report_safely("report", sweep.store.folder, sweep.say) if sweep.options.report and rows else None
    if ending.is_interrupted:
        return EXIT_INTERRUPTED
    sought = BOUNDS_BATCH if sweep.config.is_batch_auto else ()  # what such a search is after is no failure
    has_failures = any(row["status"] in FAILED and row["status"] not in sought for row in rows)
    return EXIT_FAILED if is_unfinished or failure or ending.failure or has_failures else EXIT_OK


def _tell_results(sweep: Sweep, rows: Sequence[dict[str, Any]], n_missing: int) -> None:
    """How many cells ended how, and what was best."""
    counts = Counter(row["status"] for row in rows)
    told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none measured"
    n_cells = len(sweep.cells) if sweep.config.is_grid else len(rows)
    sweep.say(f"\n{cells_told(n_cells)}: {told}" + (f", {n_missing} missing" if n_missing else ""))
    for line in best_lines(rows, sweep.config.limits):
        sweep.say(line)
    random = sorted({row["model"] for row in rows if row["weights"] == "random"})
    if random:
        sweep.say(f"random weights (none could be had here): {', '.join(random)}; speed holds, answers mean nothing")


def _tell_how_to_go_on(
    sweep: Sweep, ending: Ending, n_rows: int, missing: Sequence[TrialConfig], *, is_unfinished: bool
) -> None:
    go_on = f"go on with: {resume_command(sweep)}"
    if ending.failure is not None:
        end = f"; {go_on}" if is_unfinished else ""
        sweep.say(f"ended early: {ending.failure}; {cells_told(n_rows)} kept, above{end}")
        return
    if missing and not ending.is_interrupted:
        sweep.say(f"the budget left out: {_named(missing)}")
    sweep.say(go_on)
