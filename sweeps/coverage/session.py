"""One coverage sweep from its options to its report: new or resumed, run, timed, summed up."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from analysis.contract.cells import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK
from sweeps.coverage.child_process import ChildError, OperationChild
from sweeps.coverage.options import SMOKE_OPERATIONS, OperationCoverage
from sweeps.coverage.plan import OperationCell, cells_of
from sweeps.coverage.predicted import WHOLE, devices_to_predict, whole_operations
from sweeps.coverage.progress import CoverageProgress, verdict_counts
from sweeps.coverage.store import RETRIED, CoverageStore, write_json
from sweeps.measure.device.here import devices_here
from sweeps.plan.from_options import devices_asked
from sweeps.session.reports import report_safely
from sweeps.session.summary import Ending, command_line
from sweeps.session.terminal import SweepConsole, say
from sweeps.store.lock import sweep_lock
from sweeps.store.store import claim_folder
from sweeps.text import without_home, without_paths
from workloads.base import BadInputError
from workloads.operations.base import matches

LIST_TIMEOUT_S = 900.0


def _listed(options: OperationCoverage, console: Console) -> dict[str, Any]:
    """What operations there are, as a child lists them: ``operations``, ``recording``, ``failed``, ``missing``.

    The recording of this torch's and torchvision's model zoo is kept between sweeps.
    """
    cache = options.output / ".recordings" / f"zoo-{version('torch')}-{version('torchvision')}.json"
    recording: dict[str, Any] | None = {}
    models = None
    if "modules" in options.source:
        recording = json.loads(cache.read_text()) if cache.is_file() and not options.smoke else None
    if recording is None:
        from workloads.operations.zoo import SMOKE_MODELS

        models = list(SMOKE_MODELS) if options.smoke else None
        what = ", ".join(models) if models else "every model of torchvision"
        say(console, f"recording what {what} calls (once per version of torch and torchvision)")
    try:
        with contextlib.closing(OperationChild({})) as child:
            asked = {"command": "list", "recording": recording, "models": models, "sources": options.source}
            answers = list(child.ask(asked, LIST_TIMEOUT_S))
    except ChildError as error:
        raise BadInputError(f"the operations cannot be listed: {error}") from error
    listed = next(answer for answer in answers if answer["event"] == "listed")
    for source, why in listed["missing"].items():
        say(console, f"left out: {source}: {why}")
    for model, why in listed["failed"].items():
        say(console, f"not recorded: {model}: {why}")
    if recording is None and not options.smoke:
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_json(cache, listed["recording"])
    return listed


def _chosen(listed: Sequence[Mapping[str, Any]], options: OperationCoverage) -> list[Mapping[str, Any]]:
    """The operations asked for.

    Raises:
        BadInputError: If a pattern fits none.
    """
    patterns = options.ops or (SMOKE_OPERATIONS if options.smoke else ())
    for pattern in options.ops:
        if not any(matches(o["name"], [pattern]) for o in listed):
            raise BadInputError(f"--ops: {pattern!r} matches none of the {len(listed)} operations")
    is_whole = [o["source"] in WHOLE and not options.ops for o in listed]
    return [o for o, whole in zip(listed, is_whole, strict=True) if whole or matches(o["name"], patterns)]


def _new(options: OperationCoverage, command: Sequence[str], console: Console) -> Path:
    """The folder of a new sweep."""
    devices = (
        devices_to_predict(options.device) if options.predict else devices_asked(options.device, tuple(devices_here()))
    )
    listed = _listed(options, console)
    listed["operations"] += whole_operations(options) if options.predict else []
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
    return CoverageStore.create(folder, asked, recording).folder


def run_coverage(options: OperationCoverage, command: Sequence[str]) -> int:
    """Run or resume a coverage sweep and write its report.

    Returns:
        0 if every cell has a verdict, 130 if interrupted.

    Raises:
        BadInputError: With the option, the value given and what is allowed.
    """
    console = SweepConsole(soft_wrap=True)
    folder = options.output / options.resume if options.resume else _new(options, command, console)
    # A folder that is not there cannot be locked: opening it says so.
    with sweep_lock(folder) if folder.is_dir() else contextlib.nullcontext():
        store = CoverageStore.open(folder)
        again = RETRIED if options.retry_failed else ()
        done = {k for k, rows in store.rows_by_cell().items() if not any(r["verdict"] in again for r in rows)}
        left = [cell for cell in store.cells if cell.key not in done]
        devices = ", ".join(sorted({cell.device for cell in store.cells}))
        if left_out := store.left_out():
            say(console, f"ignored, as they are not what accelsweep wrote: {', '.join(left_out)}")
        say(console, f"op-coverage: {len(left)} of {len(store.cells)} cells on {devices}; results in {folder}")
        ending = Ending.of(lambda: _launch(store, left, console))
        if ending.failure is not None:
            say(console, f"ended early: {ending.failure}; every finished row is kept")
        return _sum_up(store, options.output, ending, console)


def _launch(store: CoverageStore, left: Sequence[OperationCell], console: Console) -> bool:
    """Run and time what is left; never over a budget, for it has none."""
    from sweeps.coverage.jobs import run_cells  # Ray: seconds to import

    run_cells(store, left, CoverageProgress(store, len(store.cells) - len(left), console))
    store.compact()
    return False


def _sum_up(store: CoverageStore, output: Path, ending: Ending, console: Console) -> int:
    """Print the counts, write the report, choose the exit code."""
    rows = store.rows()
    missing = len(store.cells) - len({row["operation_key"] for row in rows})
    counts = verdict_counts(Counter(row["verdict"] for row in rows))
    say(console, f"\n{len(store.cells)} cells, {len(rows)} rows: {counts}")
    if missing:
        say(
            console, f"{missing} cells missing; continue with: {command_line('op-coverage', store.folder.name, output)}"
        )
    if rows:
        report_safely("report_coverage", store.folder, lambda line: say(console, line))
    if ending.is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if missing or ending.failure else EXIT_OK
