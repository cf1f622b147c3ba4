"""One sweep from its options to its report: new or resumed, run, summed up."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeps.config import SweepConfig, TrialConfig
from sweeps.ledger import Interrupted, Ledger, WholeGrid
from sweeps.measure.device import available_devices, n_devices
from sweeps.options import SweepOptions, build_config
from sweeps.progress import Terminal
from sweeps.results import ResultStore, new_sweep_id
from workloads.base import BadInputError, Workload

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130
RETRIED = ("crashed", "timeout", "error")
FAILED = ("oom", *RETRIED)


def _say(console: Console, text: str = "") -> None:
    console.print(text, highlight=False, markup=False)


def _print_grid(console: Console, config: SweepConfig, cells: Sequence[TrialConfig]) -> None:
    for cell in cells:
        _say(console, f"  {cell.key}  {cell.label}")
    _say(console, f"{len(cells)} cells of {config.workload}")


def _open_or_create(
    workload: type[Workload], common: SweepOptions, own: Any, command: Sequence[str], devices: Sequence[str]
) -> tuple[SweepConfig, list[TrialConfig], ResultStore | None, set[str]]:
    """The sweep's configuration, its cells, its store (None for a dry run), and the keys recorded already."""
    if not common.resume:
        config = build_config(workload, common, own, devices)
        cells = config.cells()
        if common.dry_run:
            return config, cells, None, set()
        folder = common.output / new_sweep_id(config.workload, common.output)
        return config, cells, ResultStore.create(folder, config, cells, command), set()
    store, description = ResultStore.open(common.output / common.resume)
    config = SweepConfig.from_dict(description["config"])
    if config.workload != workload.name:
        raise BadInputError(f"--resume: {common.resume!r} is a sweep of {config.workload}, not of {workload.name}")
    cells = [TrialConfig.from_dict(cell) for cell in description["cells"]]
    again = RETRIED if common.retry_failed else ()
    done = {r["trial_key"] for r in store.rows(["trial_key", "status"]) if r["status"] not in again}
    return config, cells, None if common.dry_run else store, done


def run_sweep(workload: type[Workload], common: SweepOptions, own: Any, command: Sequence[str]) -> int:
    """Run or resume a sweep and write its report.

    Returns:
        0 if every cell was measured or is unsupported, 1 if some failed or are left, 130 if interrupted.

    Raises:
        BadInputError: With the option, the value given and what is allowed.
    """
    console = Console(soft_wrap=True)
    devices = available_devices()
    config, cells, store, done = _open_or_create(workload, common, own, command, devices)
    open_cells = [cell for cell in cells if cell.key not in done]
    if store is None:
        _print_grid(console, config, open_cells)
        return EXIT_OK
    counted = f"{len(open_cells)} of {len(cells)} cells" if done else f"{len(cells)} cells"
    _say(console, f"{config.workload}: {counted} on {', '.join(config.device)}; results in {store.folder}")
    interrupted = False
    with _terminal(len(cells), len(done), console) as terminal:
        ledger = Ledger(config, open_cells, store, WholeGrid(open_cells), terminal)
        try:
            if open_cells:
                from sweeps.launch import RayOptions, launch  # seconds to import, not needed to report bad usage

                options = RayOptions(address=common.address or None, verbose=common.verbose)
                launch(config, ledger, options, {name: n_devices(name) for name in devices})
        except Interrupted:
            interrupted = True
    if not interrupted:
        store.compact()
    return _sum_up(console, common, config, cells, store, interrupted=interrupted)


@contextlib.contextmanager
def _terminal(n_cells: int, n_done: int, console: Console) -> Iterator[Terminal]:
    with Terminal(n_cells, n_done, console) as terminal:
        yield terminal


def _sum_up(
    console: Console, common: SweepOptions, config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore,
    *, interrupted: bool,
) -> int:  # fmt: skip
    """Print the summary, write the report, and choose the exit code."""
    from sweeps.progress import format_result

    rows = store.rows()
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    missing = [cell for cell in cells if cell.key not in {row["trial_key"] for row in rows}]
    told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none measured"
    _say(console, f"\n{len(cells)} cells: {told}" + (f", {len(missing)} missing" if missing else ""))
    labels = {cell.key: cell.label for cell in cells}
    for device in config.device:
        complete = [r for r in rows if r["device"] == device and r["status"] == "complete"]
        complete = [r for r in complete if r["throughput_items_per_s"] is not None]
        if complete:
            best = max(complete, key=lambda r: r["throughput_items_per_s"])
            _say(console, f"fastest on {labels.get(best['trial_key'], device)}: {format_result(best)}")
            accurate = [r for r in complete if r["accuracy_best"] is not None]
            if accurate:
                best = max(accurate, key=lambda r: r["accuracy_best"])
                _say(
                    console,
                    f"most accurate on {labels.get(best['trial_key'], device)}: {format_result(best)}",
                )
    random = sorted({r["model"] for r in rows if r["weights"] == "random"})
    if random:
        _say(
            console,
            f"random weights (none could be had here): {', '.join(random)}; speed holds, answers mean nothing",
        )
    if missing and not interrupted:
        _say(console, "the budget left out: " + "; ".join(cell.label for cell in missing))
    if missing:
        output = [] if common.output == Path("results") else ["--output", str(common.output)]
        resume = shlex.join(["accelsweep", config.workload, "--resume", store.sweep_id, *output])
        _say(console, f"go on with: {resume}")
    if common.report and rows:
        from analysis.report import write_report

        _say(console, f"report: {write_report(store.folder)}")
    if interrupted:
        return EXIT_INTERRUPTED
    failed = any(counts.get(status) for status in FAILED)
    return EXIT_FAILED if failed or missing else EXIT_OK
