"""One coverage sweep from its options to its report: new or resumed, run, timed, summed up."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeps.coverage.child_process import ChildCrashedError, ChildRefusedError, ChildTimeoutError
from sweeps.coverage.options import SMOKE_OPERATIONS, OperationCoverage
from sweeps.coverage.plan import OperationCell, RunOptions, cells_of
from sweeps.coverage.progress import CoverageProgress, verdict_counts
from sweeps.coverage.store import RETRIED, CoverageStore
from sweeps.coverage.worker import list_operations
from sweeps.measure.device.device import available_devices, fallback_environment, n_devices
from sweeps.measure.device.environment import usable_cpus
from sweeps.plan.parsing import parse_duration_s
from sweeps.scheduling.endings import Interrupted, SweepLostError
from sweeps.session.reports import report_safely
from sweeps.session.terminal import SweepConsole, say
from sweeps.store.durable import write_durably
from sweeps.store.lock import sweep_lock
from sweeps.store.store import claim_folder
from sweeps.text import without_home, without_paths
from workloads.base import BadInputError
from workloads.operations.base import DTYPES, matches

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
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
    here = available_devices()
    for name in options.device:
        if name not in here:
            raise BadInputError(f"--device: {name!r} is not on this machine; here: {', '.join(here)}")
    listed = _listed(options, console)
    chosen = _chosen(listed["operations"], options)
    dtypes = ("fp32", "fp16", "uint8") if options.smoke and len(options.dtype) > 3 else options.dtype
    cells = cells_of(chosen, options.device or here, dtypes)
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
    chosen = []
    for cell in cells:
        forward = [r for r in found.get(cell.key, []) if r["direction"] == "forward"]
        if forward and forward[0]["timing_elements"] is None and forward[0]["not_timed"] is None:
            rounds_only = forward[0]["wrong_by"] == "rounding"
            if forward[0]["verdict"] in TIMED_VERDICTS or rounds_only:
                chosen.append(cell)
    return sorted(chosen, key=lambda cell: (_TIMED_FIRST.index(cell.source), list(DTYPES).index(cell.dtype)))


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
        store = CoverageStore.open(folder) if folder else _new(options, command, console)
        folder = store.folder
    with sweep_lock(folder):
        store = CoverageStore.open(folder)
        asked = store.description["options"]
        cells = [OperationCell(**cell) for cell in store.description["cells"]]
        again = RETRIED if options.retry_failed else ()
        done = {k for k, rows in store.rows_by_cell().items() if not any(r["verdict"] in again for r in rows)}
        left = [cell for cell in cells if cell.key not in done]
        devices = ", ".join(sorted({cell.device for cell in cells}))
        say(console, f"op-coverage: {len(left)} of {len(cells)} cells on {devices}; results in {store.folder}")
        interrupted, failure = False, None
        try:
            interrupted = _launch(store, cells, left, asked, console, n_done=len(cells) - len(left))
        except SweepLostError as error:
            failure = str(error)
        except OSError as error:
            failure = f"results cannot be written ({error.strerror or error})"
        if failure is not None:
            say(console, f"ended early: {failure}; every row that was told is kept")
        code = _sum_up(console, store, cells, options, interrupted=interrupted)
    return code if failure is None else EXIT_FAILED


def _launch(
    store: CoverageStore, cells: Sequence[OperationCell], left: Sequence[OperationCell], asked: Mapping[str, Any],
    console: Console, *, n_done: int,
) -> bool:  # fmt: skip
    """Run and time what is left; True if interrupted."""
    from sweeps.coverage.jobs import OperationJob, run_jobs

    recording = store.recording()
    progress = CoverageProgress(store, len(cells), n_done, console)

    def job(cell: OperationCell) -> OperationJob:
        return OperationJob(cell=cell, calls=recording.get(cell.operation) if cell.source == "modules" else None)

    def timed(device: str) -> list[OperationJob]:
        mine = [cell for cell in cells if cell.device == device]
        jobs = [job(cell) for cell in _to_time(store, mine)] if asked["timing"] else []
        progress.expect(len(jobs))
        return jobs

    devices = sorted({cell.device for cell in cells})
    run_options = RunOptions(
        max_samples=asked["max_samples"],
        allow_fallback=not asked["strict"],
        operation_timeout_s=parse_duration_s("operation-timeout", asked["operation_timeout"]),
    )
    try:
        run_jobs(
            {d: [job(cell) for cell in left if cell.device == d] for d in devices}, timed,
            environments={d: fallback_environment(d, allow=not asked["strict"]) for d in devices},
            options=run_options, n_cpus=asked["processes"] or usable_cpus(),
            n_devices={name: n_devices(name) for name in devices},
            on_rows=progress.rows, on_times=progress.times,
        )  # fmt: skip
    except Interrupted:
        return True
    store.compact()
    return False


def _sum_up(
    console: Console, store: CoverageStore, cells: Sequence[OperationCell], options: OperationCoverage,
    *, interrupted: bool,
) -> int:  # fmt: skip
    """Print the counts, write the report, choose the exit code."""
    found = store.rows_by_cell()
    rows = [row for part in found.values() for row in part]
    missing = len(cells) - len(found)
    say(console, f"\n{len(cells)} cells, {len(rows)} rows: {verdict_counts(Counter(r['verdict'] for r in rows))}")
    if missing:
        output = [] if options.output == Path("results") else ["--output", str(options.output)]
        resume = shlex.join(["accelsweep", "op-coverage", "--resume", store.sweep_id, *output])
        say(console, f"{missing} cells missing; go on with: {resume}")
    failure = report_safely("report_coverage", store.folder, lambda line: say(console, line)) if rows else None
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if missing or failure else EXIT_OK
