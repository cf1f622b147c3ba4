"""One sweep from its options to its report: opened, run, summed up."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.contract.cells import EXIT_INTERRUPTED, EXIT_OK
from analysis.contract.runs import is_first
from sweeps.choosing.auto_batch import AutoBatch
from sweeps.choosing.chooser import Chooser
from sweeps.choosing.passes import Passes
from sweeps.launch.ray_start import RayHere, RayOptions, ray_here
from sweeps.measure.device.here import devices_here
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import N_VISITS
from sweeps.plan.parsing import parse_duration_s
from sweeps.plan.runs import shuffled
from sweeps.plan.search import Range
from sweeps.plan.sweep_options import SweepOptions
from sweeps.scheduling.endings import terminable
from sweeps.scheduling.ledger import Ledger
from sweeps.session.beginning import TUNE_NEEDS, imported_ahead
from sweeps.session.machines import introduce
from sweeps.session.summary import Ending, resume_command, sum_up
from sweeps.session.sweep import Sweep, new_sweep, resumed_sweep
from sweeps.session.terminal import Terminal
from sweeps.store.part_files import DAMAGED
from sweeps.store.rows import cell_columns
from sweeps.store.store import ResultStore
from sweeps.text import cells_told
from workloads.base import Workload


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of a sweep.

    Attributes:
        exit_code: 0 if every cell was measured or is unsupported, 1 if some failed or are left, 130 if interrupted.
        folder: Where it is kept; None of a dry run.
        planned: Of a dry run what its cells are, as columns of the trials table.
    """

    exit_code: int
    folder: Path | None = None
    planned: Sequence[dict[str, Any]] = ()

    @property
    def is_interrupted(self) -> bool:
        return self.exit_code == EXIT_INTERRUPTED


def run_sweep(
    workload: type[Workload], options: Any, command: Sequence[str], ranges: Mapping[str, Range], here: RayHere | None
) -> Ended:
    """Run or resume a sweep and write its report, by what ``sweep_command`` made of the command line.

    ``here`` is Ray where ``begun`` starts it. Whatever ends it, what is measured is kept and told.

    Raises:
        BadInputError: With the option, the value given and what is allowed.
    """
    common: SweepOptions = options.sweep
    with contextlib.ExitStack() as held:
        cluster = None
        if common.address:
            from sweeps.launch.ray_session import cluster_session  # seconds to import

            cluster = held.enter_context(cluster_session(RayOptions(address=common.address, verbose=common.verbose)))
        if common.resume:
            sweep = resumed_sweep(workload, common, cluster, held)
        else:
            sweep = new_sweep(workload, options, ranges, cluster, command, held)
        if common.dry_run:
            _print_grid(sweep)
            return Ended(exit_code=EXIT_OK, planned=[cell_columns(cell) for cell in sweep.left])
        for name in sweep.store.damaged:
            sweep.say(f"damaged: {name} is not what was written; it was moved to {sweep.store.folder / DAMAGED}, and"
                      " its cells are measured again")  # fmt: skip
        if sweep.store.strangers:
            sweep.say(f"ignored, as accelsweep did not write it: {', '.join(sweep.store.strangers)}")
        held.enter_context(terminable())
        _introduce(sweep)
        return Ended(exit_code=sum_up(sweep, Ending.of(lambda: _measure(sweep, here))), folder=sweep.store.folder)


def _print_grid(sweep: Sweep) -> None:
    config = sweep.config
    for cell in sweep.left:
        sweep.say(f"  {cell.key}  {cell.label}")
    if config.search is not None:
        names = ", ".join(f"{name} {r.low:g} to {r.high:g} ({r.scale})" for name, r in config.search.ranges.items())
        sweep.say(f"search by {config.search.sampler} for {', '.join(config.search.objectives)}; {names}")
    n_cells = cells_told(config.n_cells) if config.n_cells else "as many cells as needed"
    sweep.say(f"{n_cells} of {config.workload}{_often(config)}")


def _often(config: SweepConfig) -> str:
    """How often each cell is measured, where that is not once."""
    words = f", each {config.repeats} times" if config.repeats > 1 else ""
    words += f", each with seeds {config.seed}" if config.other_seeds else ""
    return words + "".join(f", {seed}" for seed in config.other_seeds)


def _introduce(sweep: Sweep) -> None:
    """What will run, and where."""
    config, n_cells, n_rows = sweep.config, sweep.config.n_cells, sweep.n_rows
    counted = f"{'as many cells as needed' if n_cells is None else cells_told(n_cells)}{_often(config)}"
    if sweep.done and n_rows is not None:
        n_left = n_rows - len(sweep.done)
        counted = f"{n_left} {'measurements' if n_rows > (n_cells or 0) else ''} of {counted}".replace("  ", " ")
    sweep.say(f"{config.workload}: {counted} on {', '.join(config.device)}; results in {sweep.store.folder}")
    if config.measure.n_threads is not None and None in config.threads:
        sweep.say(f"CPU threads: {config.measure.n_threads}, set by the environment (OMP_NUM_THREADS or"
                  " MKL_NUM_THREADS); --threads overrides it")  # fmt: skip
    if sweep.machines.cluster is not None:
        introduce(sweep.console, config, sweep.machines.cluster)
    if config.search is not None and len(config.search.objectives) > 1:
        sweep.say("several objectives: no cell is pruned, as Optuna prunes for one objective only")


def _measure(sweep: Sweep, here: RayHere | None) -> bool:
    """Measure what is not done; whether the budget ended it. Errors are those of ``launch``."""
    config = sweep.config
    chooser = choose(config, sweep.cells, sweep.store, sweep.done)
    n_ends, n_ended = sweep.n_rows, len(sweep.done)
    if chooser.n_visited is not None and n_ends is not None:
        n_ends += len(sweep.cells) * (N_VISITS - 1)
        n_ended += chooser.n_visited - len(sweep.firsts)
        sweep.say(f"interleaved: {N_VISITS} visits to each cell, in turns")
    try:
        with Terminal(n_ends, n_ended, sweep.console, config) as terminal:
            ledger = Ledger(config, sweep.cells, sweep.store, chooser, terminal)
            if n_ends is None or n_ended < n_ends or sweep.left:
                _launch(sweep, ledger, here, terminal)
    finally:
        for key, columns in chooser.finish().items():
            sweep.store.amend(key, columns)
        cluster = sweep.machines.cluster
        for line in [*chooser.summary(), *(cluster.differences() if cluster else ())]:
            sweep.say(line)
    sweep.store.compact()
    return ledger.is_over_budget


def _launch(sweep: Sweep, ledger: Ledger, begun: RayHere | None, terminal: Terminal) -> None:
    options = RayOptions(
        address=sweep.options.address or None,
        verbose=sweep.options.verbose,
        go_on=f"every finished cell is kept; continue with: {resume_command(sweep)}",
        node_timeout_s=parse_duration_s("node-timeout", sweep.options.node_timeout),
        ahead=imported_ahead(sweep.config.workload),
    )
    with contextlib.nullcontext(begun) if begun else ray_here(options) as here:
        if here.start is not None:
            terminal.awaits("waiting for Ray to start")
            for name in TUNE_NEEDS.split():
                importlib.import_module(name)
            here.start.wait()
            terminal.awaits("Ray is up; waiting for a worker that loads PyTorch")
        from sweeps.launch.tune_loop import launch  # Ray must be up: no two threads may import it side by side

        launch(sweep.config, ledger, options, here, sweep.machines.cluster or devices_here(), sweep.say)


def choose(
    config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore, done: Sequence[dict[str, Any]]
) -> Passes:
    """What chooses the runs of a sweep's cells."""
    firsts = [row for row in done if is_first(row, {"seed": config.seed})]
    return Passes(_of_firsts(config, cells, store, firsts), config, done)


def _of_firsts(
    config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore, done: Sequence[dict[str, Any]]
) -> Chooser:
    """What chooses the first run of each cell; Optuna and scipy are imported only where they are asked for."""
    if config.search is None and config.is_batch_auto:
        return AutoBatch(config.cells(), done)
    if config.measure.rounds == "interleaved":
        from sweeps.choosing.interleaved import Turns

        return Turns(cells, config, store, done)
    if config.search is None and config.pruning.pruner == "none":
        keys = {row["trial_key"] for row in done}
        ordered = shuffled(cells, config) if config.n_runs > 1 else cells
        return Chooser(cell for cell in ordered if cell.key not in keys)
    from sweeps.choosing.optuna_search import SearchStudies
    from sweeps.choosing.optuna_study import StudyBook
    from sweeps.choosing.pruned_grid import GridStudies

    book, rounds = StudyBook(store.folder), store.rounds(row["trial_key"] for row in done)
    if config.search is not None:
        return SearchStudies(config, book, done, rounds)
    return GridStudies(cells, config, book, done, rounds)
