"""One coverage sweep from its options to its report: new or resumed, run, timed, summed up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis.contract.cells import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from sweeps.coverage.child_process import ChildCrashedError, ChildRefusedError, ChildTimeoutError
from sweeps.coverage.options import SMOKE_OPERATIONS, OperationCoverage
from sweeps.coverage.plan import OperationCell, RunOptions, cells_of
from sweeps.coverage.progress import CoverageProgress, verdict_counts
from sweeps.coverage.store import RETRIED, CoverageStore
from sweeps.coverage.worker import list_operations
from sweeps.measure.device.device import available_devices, fallback_environment, n_devices
from sweeps.measure.device.environment import usable_cpus
from sweeps.plan.from_options import devices_asked
from sweeps.plan.parsing import parse_duration_s
from sweeps.session.reports import report_safely
from sweeps.session.summary import Ending, command_line
from sweeps.session.terminal import SweepConsole, say
from sweeps.store.durable import write_durably
from sweeps.store.lock import sweep_lock
from sweeps.store.store import claim_folder
from sweeps.text import without_home, without_paths
from workloads.base import BadInputError
from workloads.operations.base import DTYPES, matches

TIMED_VERDICTS = ("supported", "fallback")


def _recording_cache(output: Path) -> Path:
    """Where the recording of this torch's and torchvision's model zoo is kept between sweeps."""
    from importlib.metadata import version

    return output / ".recordings" / f"zoo-{version('torch')}-{version('torchvision')}.json"


def _listed(options: OperationCoverage, console: Console) -> dict[str, Any]:
    """What operations there are, with the recording of the model zoo."""
    cache = _recording_cache(options.output)
    if "modules" not in options.source:
        recording: dict[str, Any] | None = {}
    else:
        recording = json.loads(cache.read_text()) if cache.is_file() and not options.smoke else None
    models = None
    if recording is None:
        from workloads.operations.zoo import SMOKE_MODELS

        models = list(SMOKE_MODELS) if options.smoke else None
        what = ", ".join(models) if models else "every model of torchvision"
        say(console, f"recording what {what} calls (once per version of torch and torchvision)")
    try:
        listed = list_operations(recording, models, {})
    except (ChildCrashedError, ChildRefusedError, ChildTimeoutError) as error:
        raise BadInputError(f"the operations cannot be listed: {error}") from error
    for source, why in listed["missing"].items():
        say(console, f"left out: {source}: {why}")
    for model, why in listed["failed"].items():
        say(console, f"not recorded: {model}: {why}")
    if recording is None and not options.smoke:
        cache.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(listed["recording"]).encode()
        write_durably(cache, lambda file: file.write(text))
    return listed


def _chosen(listed: Sequence[Mapping[str, Any]], options: OperationCoverage) -> list[Mapping[str, Any]]:
    """The operations asked for.

    Raises:
        BadInputError: If a pattern fits none.
    """
    patterns = options.ops or (SMOKE_OPERATIONS if options.smoke else ())
    mine = [o for o in listed if o["source"] in options.source]
    for pattern in options.ops:
        if not any(matches(o["name"], [pattern]) for o in mine):
            raise BadInputError(f"--ops: {pattern!r} fits none of the {len(mine)} operations")
    return [o for o in mine if matches(o["name"], patterns)]


def _new(options: OperationCoverage, command: Sequence[str], console: Console) -> CoverageStore:
    devices = devices_asked(options.device, available_devices())
    listed = _listed(options, console)
    chosen = _chosen(listed["operations"], options)
    dtypes = ("fp32", "fp16", "uint8") if options.smoke and len(options.dtype) > 3 else options.dtype
    cells = cells_of(chosen, devices, dtypes)
    names = {cell.operation for cell in cells if cell.source == "modules"}
    asked = {
        "command": [without_home(word) for word in command],
        "options": {k: v for k, v in asdict(options).items() if k not in {"output", "resume", "retry_failed"}},
        "n_cells": len(cells),
        "cells": [cell.as_dict() for cell in cells],
        "missing_sources": {source: without_paths(why) for source, why in listed["missing"].items()},
    }
    folder = claim_folder("op-coverage", options.output)
    recording = {name: calls for name, calls in listed["recording"].items() if name in names}
    return CoverageStore.create(folder, asked, recording)


_TIMED_FIRST = ("modules", "transforms", "database")


def _to_time(store: CoverageStore, cells: Sequence[OperationCell]) -> list[OperationCell]:
    """Cells whose forward call works and has not been timed; first what models call, as timing may be cut short."""
    found = store.rows_by_cell()

    def is_due(row: Mapping[str, Any]) -> bool:
        works = row["verdict"] in TIMED_VERDICTS or row["wrong_by"] == "rounding"
        return row["direction"] == "forward" and works and row["timing_elements"] is None and row["not_timed"] is None

    due = [cell for cell in cells if any(is_due(row) for row in found.get(cell.key, ()))]
    return sorted(due, key=lambda cell: (_TIMED_FIRST.index(cell.source), list(DTYPES).index(cell.dtype)))


@dataclass(frozen=True, kw_only=True)
class CoverageSweep:
    """A coverage sweep that is ready to run.

    Attributes:
        options: Of the command line.
        store: Its results, with what was asked when it began.
        cells: All of it.
        left: Those that have no row that counts.
        console: Where it is told of.
    """

    options: OperationCoverage
    store: CoverageStore
    cells: Sequence[OperationCell]
    left: Sequence[OperationCell]
    console: Console

    @classmethod
    def open(cls, folder: Path, options: OperationCoverage, console: Console) -> CoverageSweep:
        """A sweep whose folder is there.

        Raises:
            BadInputError: If it is no coverage sweep, or of another schema version.
        """
        store = CoverageStore.open(folder)
        cells = [OperationCell(**cell) for cell in store.description["cells"]]
        again = RETRIED if options.retry_failed else ()
        done = {k for k, rows in store.rows_by_cell().items() if not any(r["verdict"] in again for r in rows)}
        left = [cell for cell in cells if cell.key not in done]
        return cls(options=options, store=store, cells=cells, left=left, console=console)

    def say(self, text: str) -> None:
        say(self.console, text)


def run_coverage(options: OperationCoverage, command: Sequence[str]) -> int:
    """Run or resume a coverage sweep and write its report.

    Returns:
        0 if every cell has a verdict, 130 if interrupted.

    Raises:
        BadInputError: With the option, the value given and what is allowed.
    """
    console = SweepConsole(soft_wrap=True)
    folder = options.output / options.resume if options.resume else None
    if folder is None or not folder.is_dir():
        folder = (CoverageStore.open(folder) if folder else _new(options, command, console)).folder
    with sweep_lock(folder):
        sweep = CoverageSweep.open(folder, options, console)
        devices = ", ".join(sorted({cell.device for cell in sweep.cells}))
        sweep.say(f"op-coverage: {len(sweep.left)} of {len(sweep.cells)} cells on {devices}; results in {folder}")
        ending = Ending.of(lambda: _launch(sweep))
        if ending.failure is not None:
            sweep.say(f"ended early: {ending.failure}; every row that was told is kept")
        return _sum_up(sweep, ending)


def _launch(sweep: CoverageSweep) -> bool:
    """Run and time what is left; never over a budget, for it has none."""
    from sweeps.coverage.jobs import OperationJob, run_jobs

    store, cells, asked = sweep.store, sweep.cells, sweep.store.description["options"]
    recording = store.recording()
    progress = CoverageProgress(store, len(cells), len(cells) - len(sweep.left), sweep.console)

    def job(cell: OperationCell) -> OperationJob:
        return OperationJob(cell=cell, calls=recording.get(cell.operation) if cell.source == "modules" else None)

    def timed(device: str) -> list[OperationJob]:
        mine = [cell for cell in cells if cell.device == device]
        jobs = [job(cell) for cell in _to_time(store, mine)] if asked["timing"] else []
        progress.expect(len(jobs))
        return jobs

    jobs: dict[str, list[OperationJob]] = {device: [] for device in sorted({cell.device for cell in cells})}
    for cell in sweep.left:
        jobs[cell.device].append(job(cell))
    run_options = RunOptions(
        max_samples=asked["max_samples"],
        allow_fallback=not asked["strict"],
        operation_timeout_s=parse_duration_s("operation-timeout", asked["operation_timeout"]),
    )
    run_jobs(
        jobs, timed,
        environments={d: fallback_environment(d, allow=not asked["strict"]) for d in jobs},
        options=run_options, n_cpus=asked["processes"] or usable_cpus(),
        n_devices={name: n_devices(name) for name in jobs},
        on_rows=progress.rows, on_times=progress.times,
    )  # fmt: skip
    store.compact()
    return False


def _sum_up(sweep: CoverageSweep, ending: Ending) -> int:
    """Print the counts, write the report, choose the exit code."""
    found = sweep.store.rows_by_cell()
    rows = [row for part in found.values() for row in part]
    missing = len(sweep.cells) - len(found)
    sweep.say(f"\n{len(sweep.cells)} cells, {len(rows)} rows: {verdict_counts(Counter(r['verdict'] for r in rows))}")
    if missing:
        resume = command_line("op-coverage", sweep.store.sweep_id, sweep.options.output)
        sweep.say(f"{missing} cells missing; go on with: {resume}")
    failure = report_safely("report_coverage", sweep.store.folder, sweep.say) if rows else None
    if ending.is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if missing or failure or ending.failure else EXIT_OK
