"""One sweep from its options to its report: new or resumed, run, summed up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from sweeps.choosing.auto_batch import AutoBatch
from sweeps.choosing.chooser import Chooser, WholeGrid
from sweeps.measure.device.device import n_devices
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.measuring import N_VISITS
from sweeps.plan.parsing import parse_duration_s
from sweeps.plan.search import Range
from sweeps.plan.sweep_options import build_config
from sweeps.scheduling.endings import Interrupted, SweepLostError, terminable
from sweeps.scheduling.ledger import Ledger
from sweeps.scheduling.nodes import Cluster
from sweeps.session.machines import Machines, check_address, introduce, machines_again
from sweeps.session.summary import EXIT_OK, RETRIED, resume_command, sum_up
from sweeps.session.terminal import SweepConsole, Terminal, say
from sweeps.store.lock import sweep_lock
from sweeps.store.part_files import DAMAGED
from sweeps.store.store import ResultStore, claim_folder
from sweeps.text import cells_told
from workloads.base import BadInputError, Workload


def _print_grid(console: Console, config: SweepConfig, cells: Sequence[TrialConfig]) -> None:
    for cell in cells:
        say(console, f"  {cell.key}  {cell.label}")
    if config.search is not None:
        names = ", ".join(f"{name} {r.low:g} to {r.high:g} ({r.scale})" for name, r in config.search.ranges.items())
        say(console, f"search by {config.search.sampler} for {', '.join(config.search.objectives)}; {names}")
    n_cells = cells_told(config.n_cells) if config.n_cells else "as many cells as it takes"
    say(console, f"{n_cells} of {config.workload}")


def _open_or_create(
    workload: type[Workload], options: Any, command: Sequence[str], ranges: Mapping[str, Range],
    cluster: Cluster | None, held: contextlib.ExitStack,
) -> tuple[SweepConfig, list[TrialConfig], ResultStore | None, list[dict[str, Any]], Machines]:  # fmt: skip
    """The sweep's configuration, its cells, its store (None for a dry run), the rows that count as done, its machines.

    Until ``held`` is left, no other process runs the sweep. The cells of a search, and of batch sizes found on the
    way, are known only when they have run: none here.
    """
    common = options.sweep
    if not common.resume:
        machines = Machines.of(cluster, common.on_node, common.accelerator_type) if cluster else Machines()
        config = build_config(workload, options, machines.devices, ranges, machines.kinds)
        if cluster is None:
            _check_energy(config)
        cells = config.cells() if config.is_grid else []
        if common.dry_run:
            return config, cells, None, [], machines
        folder = claim_folder(config.workload, common.output)
        held.enter_context(sweep_lock(folder))
        return config, cells, ResultStore.create(folder, config, cells, command), [], machines
    folder = common.output / common.resume
    if not common.dry_run and folder.is_dir():
        held.enter_context(sweep_lock(folder))
    store, description = ResultStore.open(folder, is_read_only=common.dry_run)
    if "merged_from" in description:
        names = ", ".join(str(origin.get("sweep_id")) for origin in description["merged_from"])
        raise BadInputError(f"--resume: {common.resume!r} was merged; resume the sweeps it was merged from: {names}")
    try:
        config = SweepConfig.from_dict(description["config"])
        cells = [TrialConfig.from_dict(cell) for cell in description["cells"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInputError(
            f"--resume: {common.resume!r}: its sweep.json does not say what was asked ({type(error).__name__}: {error})"
        ) from error
    if config.workload != workload.name:
        raise BadInputError(f"--resume: {common.resume!r} is a sweep of {config.workload}, not of {workload.name}")
    machines = machines_again(config, common, cluster)
    again, incomplete = (RETRIED if common.retry_failed else ()), store.incomplete()
    done = [r for r in store.rows() if r["status"] not in again and r["trial_key"] not in incomplete]
    return config, cells, None if common.dry_run else store, done, machines


def _check_energy(config: SweepConfig) -> None:
    """Energy can only be judged where it can be measured."""
    objectives = config.search.objectives if config.search else ()
    is_pruned_on = config.pruning.pruner != "none" and config.pruning.prune_on == "energy_per_item"
    if "energy_per_item" not in objectives and not is_pruned_on:
        return
    import torch

    from sweeps.measure.monitors.energy_sources import open_energy_source

    for name in config.device:
        if open_energy_source(torch.device(name)).read_j() is None:
            option = "--objective" if "energy_per_item" in objectives else "--prune-on"
            raise BadInputError(f"{option}: 'energy_per_item' cannot be measured on {name} here; `accelsweep selftest`"
                                " says why")  # fmt: skip


def _choose(
    config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore, done: Sequence[dict[str, Any]]
) -> Chooser:
    """What chooses the cells of this sweep; Optuna and scipy are imported only where they are asked for."""
    if config.search is None and config.is_batch_auto:
        return AutoBatch(config.cells(), done)
    if config.measure.rounds == "interleaved":
        from sweeps.choosing.interleaved import Turns

        return Turns(cells, config, store, done)
    if config.search is None and config.pruning.pruner == "none":
        keys = {row["trial_key"] for row in done}
        return WholeGrid(cell for cell in cells if cell.key not in keys)
    from sweeps.choosing.optuna_search import SearchStudies
    from sweeps.choosing.optuna_study import StudyBook
    from sweeps.choosing.pruned_grid import GridStudies

    book, rounds = StudyBook(store.folder), store.rounds(row["trial_key"] for row in done)
    if config.search is not None:
        return SearchStudies(config, book, done, rounds)
    return GridStudies(cells, config, book, done, rounds)


def run_sweep(workload: type[Workload], options: Any, command: Sequence[str], ranges: Mapping[str, Range]) -> int:
    """Run or resume a sweep and write its report.

    Args:
        workload: Its class.
        options: What ``sweep_command`` made of the command line.
        command: The command line, to reproduce it.
        ranges: Axes given as ranges.

    Returns:
        0 if every cell was measured or is unsupported, 1 if some failed or are left, 130 if interrupted.

    Raises:
        BadInputError: With the option, the value given and what is allowed.
    """
    check_address(options.sweep)
    console = SweepConsole(soft_wrap=True)
    with contextlib.ExitStack() as held:
        cluster = held.enter_context(_joined(options.sweep)) if options.sweep.address else None
        config, cells, store, done, machines = _open_or_create(workload, options, command, ranges, cluster, held)
        if store is None:
            keys = {row["trial_key"] for row in done}
            _print_grid(console, config, [cell for cell in cells if cell.key not in keys])
            return EXIT_OK
        for name in store.damaged:
            say(console, f"damaged: {name} is not what was written; it is set aside in {store.folder / DAMAGED}, and"
                         " the cells that it held are measured again")  # fmt: skip
        held.enter_context(terminable())
        return _run(console, options.sweep, config, cells, store, done, machines)


@contextlib.contextmanager
def _joined(common: Any) -> Iterator[Cluster]:
    """The cluster that ``--address`` names."""
    from sweeps.launch.ray_session import RayOptions, cluster_session  # seconds to import

    with cluster_session(RayOptions(address=common.address, verbose=common.verbose)) as cluster:
        yield cluster


def _run(
    console: Console, common: Any, config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore,
    done: Sequence[dict[str, Any]], machines: Machines,
) -> int:  # fmt: skip
    """Measure what is not done and sum up; whatever ends the sweep, what is measured is kept and told."""
    n_cells = config.n_cells
    all_cells = "cells as they come" if n_cells is None else cells_told(n_cells)
    counted = f"{n_cells - len(done)} of {all_cells}" if done and n_cells is not None else all_cells
    say(console, f"{config.workload}: {counted} on {', '.join(config.device)}; results in {store.folder}")
    if machines.cluster is not None:
        introduce(console, config, machines.cluster)
    if config.search is not None and len(config.search.objectives) > 1:
        say(console, "several objectives: every cell is measured whole, for Optuna prunes for one objective only")
    interrupted, is_over_budget, failure = False, False, None
    try:
        is_over_budget = _measure(console, common, config, cells, store, done, machines)
    except (Interrupted, KeyboardInterrupt):
        interrupted = True
    except OSError as error:
        failure = f"results cannot be written ({error.strerror or error})"
    except SweepLostError as error:
        failure = str(error)
    is_cut = is_over_budget or interrupted or failure is not None
    return sum_up(console, common, config, cells, store, is_cut=is_cut, interrupted=interrupted, failure=failure)


def _measure(
    console: Console, common: Any, config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore,
    done: Sequence[dict[str, Any]], machines: Machines,
) -> bool:  # fmt: skip
    """Measure what is not done; whether the budget ended it.

    Raises:
        Interrupted: After Ctrl-C, SIGTERM or SIGHUP.
        OSError: If results cannot be written.
        SweepLostError: If what runs the cells died.
    """
    cluster, chooser = machines.cluster, _choose(config, cells, store, done)
    n_ends, n_ended = config.n_cells, len(done)
    n_visited = getattr(chooser, "n_visited", None)
    if n_visited is not None:
        n_ends, n_ended = len(cells) * N_VISITS, n_visited
        say(console, f"interleaved: {N_VISITS} visits to each cell, in turns")
    try:
        with _terminal(n_ends, n_ended, console) as terminal:
            ledger = Ledger(config, cells, store, chooser, terminal)
            if n_ends is None or n_ended < n_ends:
                from sweeps.launch.ray_session import RayOptions  # seconds to import, not needed to report bad usage
                from sweeps.launch.tune_loop import launch  # seconds to import, not needed to report bad usage

                go_on = f"every finished cell is kept; go on with: {resume_command(common, config, store)}"
                node_timeout_s = parse_duration_s("node-timeout", common.node_timeout)
                ray_options = RayOptions(verbose=common.verbose, go_on=go_on, node_timeout_s=node_timeout_s)
                here = {} if cluster else {name: n_devices(name) for name in machines.devices}
                launch(config, ledger, ray_options, here, cluster, terminal.say)
    finally:
        for key, columns in chooser.finish().items():
            store.amend(key, columns)
        for line in [*chooser.summary(), *(cluster.differences() if cluster else ())]:
            say(console, line)
    store.compact()
    return ledger.is_over_budget


@contextlib.contextmanager
def _terminal(n_cells: int | None, n_done: int, console: Console) -> Iterator[Terminal]:
    with Terminal(n_cells, n_done, console) as terminal:
        yield terminal
