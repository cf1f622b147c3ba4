"""The end of a sweep: its summary with the best cells as the report chooses them, its report, and the exit code."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from analysis.contract.cells import BOUNDS_BATCH, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, FAILED, SERVER
from analysis.contract.choice import best, by_task, doubts, is_usable, task_names
from analysis.contract.limits import Limits
from analysis.contract.runs import change, is_first, pooled
from sweeps.plan.config import TrialConfig
from sweeps.plan.runs import first_run, later_runs, without_run
from sweeps.scheduling.endings import Interrupted, SweepLostError
from sweeps.session.reports import report_safely
from sweeps.session.sweep import Sweep, missing
from sweeps.session.terminal import format_result
from sweeps.text import cells_told, sqlite_url

log = logging.getLogger(__name__)
MAX_NAMED = 12
MAX_TASKS = 12
"""More tasks than that are left to the report."""


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
    left = missing(sweep.config, sweep.cells, [row for row in rows if row["trial_key"] in recorded])
    is_unfinished = bool(left) or (ending != Ending() and not sweep.config.is_grid)
    _tell_results(sweep, rows, len(left))
    _tell_ending(sweep, ending, len(rows), left, is_unfinished=is_unfinished)
    if sweep.options.report and rows:
        report_safely("report", sweep.store.folder, sweep.say)
    if ending.is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if is_unfinished or ending.failure or _has_failures(sweep, rows) else EXIT_OK


def _has_failures(sweep: Sweep, rows: Sequence[dict[str, Any]]) -> bool:
    """Whether cells failed; what a search for the largest batch size is after is no failure."""
    sought = BOUNDS_BATCH if sweep.config.is_batch_auto else ()
    return any(row["status"] in FAILED and row["status"] not in sought for row in rows)


def _tell_ending(
    sweep: Sweep, ending: Ending, n_rows: int, left: Sequence[TrialConfig], *, is_unfinished: bool
) -> None:
    """What ended the sweep early, how to go on, and where the study lies."""
    go_on = f"continue with: {resume_command(sweep)}"
    if ending.failure is not None:
        end = f"; {go_on}" if is_unfinished else ""
        sweep.say(f"ended early: {ending.failure}; {cells_told(n_rows)} kept (listed above){end}")
    elif is_unfinished:
        if left and not ending.is_interrupted:
            sweep.say(f"not measured within the budget: {_named(left)}")
        sweep.say(go_on)
    if (sweep.store.folder / "study.db").exists():
        url = sqlite_url(sweep.store.folder / "study.db")
        sweep.say(f"study: {shlex.join(['optuna-dashboard', url])}")


def _tell_results(sweep: Sweep, rows: Sequence[dict[str, Any]], n_missing: int) -> None:
    """How many cells ended how, and what was best."""
    counts = Counter(row["status"] for row in rows)
    told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none measured"
    n_firsts = sum(is_first(row, {"seed": sweep.config.seed}) for row in rows)
    n_cells = len(sweep.cells) if sweep.config.is_grid else n_firsts
    runs = f", {len(rows)} measurements" if len(rows) > n_firsts else ""
    sweep.say(f"\n{cells_told(n_cells)}{runs}: {told}" + (f", {n_missing} missing" if n_missing else ""))
    for line in [*best_lines(rows, sweep.config.limits), *_rechecks(sweep, rows)]:
        sweep.say(line)
    random = sorted({row["model"] for row in rows if row["weights"] == "random"})
    if random:
        sweep.say(
            f"random weights (none available here): {', '.join(random)}; speeds are valid, answers are meaningless"
        )


def _rechecks(sweep: Sweep, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What measuring the first cell of each device again has shown."""
    by_key = {row["trial_key"]: row for row in rows}
    said = []
    for again in later_runs(sweep.config, rows) if sweep.config.n_runs == 1 else ():
        moved = change(by_key.get(first_run(again, sweep.config).key, {}), by_key.get(again.key, {}))
        if moved is not None:
            said.append(f"measured again at the end, in a fresh process, {without_run(again).label} was"
                        f" {abs(moved):.1%} {'faster' if moved > 0 else 'slower'}")  # fmt: skip
    return said


def best_lines(rows: Sequence[dict[str, Any]], limits: Limits) -> list[str]:
    """The fastest and the most accurate cell of a sweep's rows; of one task on each device, of several a line each.

    What tells cells apart is the pages' own code, imported late: it needs what a sweep itself does not.
    """
    over_runs = _over_runs(rows)
    ordered = sorted(
        pooled(rows), key=lambda r: r["trial_index"] or 0
    )  # the first of several alike is the report's too
    tasks = by_task([row for row in ordered if row["status"] == "complete"])
    if len(tasks) == 1:
        (cells,) = tasks.values()
        devices = dict.fromkeys(row["device"] for row in cells)
        found = [
            line for name in devices for line in _lines([r for r in cells if r["device"] == name], limits, over_runs)
        ]
        return list(dict.fromkeys(found))
    told = [f"{name}: {line}" for name, cells in zip(task_names(tasks), tasks.values(), strict=True)
            for line in _lines(cells, limits, over_runs)[:1]]  # fmt: skip
    more = [f"{len(told) - MAX_TASKS} more tasks are in the report"] if len(told) > MAX_TASKS else []
    return told[:MAX_TASKS] + more


def _lines(
    cells: Sequence[dict[str, Any]], limits: Limits, over_runs: Mapping[str, Mapping[str, Any]]
) -> list[str]:  # fmt: skip
    """Of the cells of one task: the fastest, and the most accurate where accuracy is known."""
    fastest = best(cells, "throughput", limits)
    if fastest is None:
        return _none(cells, limits)
    able = [over_runs[row["trial_key"]] for row in cells if is_usable(row) and limits.held(row) is not False]
    word = "highest rate" if fastest["scenario"] == SERVER else "fastest"
    accurate = best(cells, "accuracy", limits)
    lines = [_told(_word(word, "speed", _n_rivals(able, "speed")), fastest)]
    if accurate is not None:
        lines.append(_told(_word("most accurate", "accuracy", _n_rivals(able, "accuracy")), accurate))
    elif able and all(isinstance(row.get("learned"), str) for row in able):
        lines.append("no training run did better than guessing")
    return lines


def _over_runs(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows by their key with what their runs tell; as they are where that fails, which must not cost the ending."""
    try:
        return dict(import_module("analysis.cells.ranking").over_runs(rows)) if rows else {}
    except Exception as error:
        log.warning("what varies between runs could not be told: %s: %s", type(error).__name__, error)
        return {row["trial_key"]: row for row in rows}


def _n_rivals(able: Sequence[Mapping[str, Any]], what: str) -> int | None:
    """From how many others the first of some cells is statistically indistinguishable; None where there are none."""
    ranking = import_module("analysis.cells.ranking")
    judge = ranking.intervals_part if what == "accuracy" else None
    found = ranking.rank(able, getattr(ranking, what), judge=judge)
    return None if found is None or not found.n_others else len(found.rivals)


def _word(first: str, how: str, n_rivals: int | None) -> str:
    """``fastest``; or how many are statistically indistinguishable, where nobody can say which is first."""
    if n_rivals is None:
        return "measured"
    return f"one of {n_rivals + 1} cells statistically indistinguishable in {how}" if n_rivals else first


def _told(word: str, row: Mapping[str, Any]) -> str:
    doubt = f" ({'; '.join(doubts(row))})" if doubts(row) else ""
    return f"{word} on {without_run(TrialConfig.from_row(row)).label}: {format_result(row)}{doubt}"


def _none(cells: Sequence[dict[str, Any]], limits: Limits) -> list[str]:
    if best(cells) is not None and limits.asked:
        return ["no cell is known to meet the limits"]
    is_server = any(row["scenario"] == SERVER for row in cells)
    return ["no cell keeps up with its requests within its deadline"] if is_server else []
