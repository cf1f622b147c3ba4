"""One sweep from its options to its report: new or resumed, run, summed up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from sweeps.auto_batch import AutoBatch
from sweeps.chooser import Chooser, WholeGrid
from sweeps.closing import EXIT_OK, RETRIED, say, sum_up
from sweeps.config import N_VISITS, SweepConfig, TrialConfig
from sweeps.ledger import Interrupted, Ledger
from sweeps.measure.device import available_devices, n_devices
from sweeps.nodes import Cluster, chosen
from sweeps.options import build_config, parse_duration_s
from sweeps.progress import Terminal
from sweeps.results import ResultStore, new_sweep_id
from sweeps.strategy import Range
from sweeps.turns import Turns
from workloads.base import BadInputError, Workload


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What a sweep may run on.

    Attributes:
        devices: Their types, ``cpu`` first.
        cluster: The nodes, where ``--address`` names a cluster; None for this machine alone.
    """

    devices: Sequence[str] = field(default_factory=available_devices)
    cluster: Cluster | None = None

    @classmethod
    def of(cls, cluster: Cluster, on_node: Sequence[str], accelerator_type: Sequence[str]) -> Machines:
        """The nodes of a cluster that are left by ``--on-node`` and ``--accelerator-type``.

        Raises:
            BadInputError: For a name that no node has, or if no node is left to measure on.
        """
        left = Cluster(chosen(cluster.all_nodes, on_node, accelerator_type))
        if not left.devices:
            why = "; ".join(f"{n.name} {n.problem or 'gives no CPU and no accelerator'}" for n in left.all_nodes)
            raise BadInputError(f"--address: nothing can be measured on this cluster: {why}")
        return cls(devices=left.devices, cluster=left)


def _check_address(common: Any) -> None:
    """Options that mean a cluster need one.

    Raises:
        BadInputError: For one without ``--address``.
    """
    parse_duration_s("node-timeout", common.node_timeout)
    told = {"on-node": common.on_node, "accelerator-type": common.accelerator_type, "each-node": common.each_node}
    for name, value in told.items():
        if value and not common.address:
            raise BadInputError(f"--{name}: is for a cluster; name it with --address HOST:PORT or auto")


def _print_grid(console: Console, config: SweepConfig, cells: Sequence[TrialConfig]) -> None:
    for cell in cells:
        say(console, f"  {cell.key}  {cell.label}")
    if config.search is not None:
        names = ", ".join(f"{name} {r.low:g} to {r.high:g} ({r.scale})" for name, r in config.search.ranges.items())
        say(console, f"search by {config.search.sampler} for {', '.join(config.search.objectives)}; {names}")
    say(console, f"{config.n_cells or 'as many as it takes'} cells of {config.workload}")


def _open_or_create(
    workload: type[Workload], options: Any, command: Sequence[str], ranges: Mapping[str, Range],
    cluster: Cluster | None,
) -> tuple[SweepConfig, list[TrialConfig], ResultStore | None, list[dict[str, Any]], Machines]:  # fmt: skip
    """The sweep's configuration, its cells, its store (None for a dry run), the rows that count as done, its machines.

    The cells of a search, and of batch sizes found on the way, are known only when they have run: none here.
    """
    common = options.sweep
    if not common.resume:
        machines = Machines.of(cluster, common.on_node, common.accelerator_type) if cluster else Machines()
        config = build_config(workload, options, machines.devices, ranges, machines.cluster)
        if cluster is None:
            _check_energy(config)
        cells = config.cells() if config.is_grid else []
        if common.dry_run:
            return config, cells, None, [], machines
        folder = common.output / new_sweep_id(config.workload, common.output)
        return config, cells, ResultStore.create(folder, config, cells, command), [], machines
    store, description = ResultStore.open(common.output / common.resume)
    if "merged_from" in description:
        names = ", ".join(str(origin.get("sweep_id")) for origin in description["merged_from"])
        raise BadInputError(f"--resume: {common.resume!r} was merged; resume the sweeps it was merged from: {names}")
    config = SweepConfig.from_dict(description["config"])
    if config.workload != workload.name:
        raise BadInputError(f"--resume: {common.resume!r} is a sweep of {config.workload}, not of {workload.name}")
    machines = _machines_again(config, common, cluster)
    cells = [TrialConfig.from_dict(cell) for cell in description["cells"]]
    again = RETRIED if common.retry_failed else ()
    done = [row for row in store.rows() if row["status"] not in again]
    return config, cells, None if common.dry_run else store, done, machines


def _machines_again(config: SweepConfig, common: Any, cluster: Cluster | None) -> Machines:
    """What a sweep goes on with: nodes as it was asked for them, unless others are named now.

    Raises:
        BadInputError: If it needs a cluster and none is named.
    """
    if cluster is not None:
        return Machines.of(
            cluster, common.on_node or config.on_node, common.accelerator_type or config.accelerator_type
        )
    if config.node_kinds or config.on_node or config.accelerator_type:
        raise BadInputError(f"--resume: {common.resume!r} is bound to nodes of a cluster; name it with --address")
    return Machines()


def _check_energy(config: SweepConfig) -> None:
    """Energy can only be judged where it can be measured."""
    objectives = config.search.objectives if config.search else ()
    is_pruned_on = config.pruning.pruner != "none" and config.pruning.prune_on == "energy_per_item"
    if "energy_per_item" not in objectives and not is_pruned_on:
        return
    import torch

    from sweeps.measure.energy import open_energy_source

    for name in config.device:
        if open_energy_source(torch.device(name)).read_j() is None:
            option = "--objective" if "energy_per_item" in objectives else "--prune-on"
            raise BadInputError(f"{option}: 'energy_per_item' cannot be measured on {name} here; `accelsweep selftest`"
                                " says why")  # fmt: skip


def _choose(
    config: SweepConfig, cells: Sequence[TrialConfig], store: ResultStore, done: Sequence[dict[str, Any]]
) -> Chooser:
    """What chooses the cells of this sweep; Optuna is imported only where it is asked for."""
    if config.search is None and config.is_batch_auto:
        return AutoBatch(config.cells(), done)
    if config.measure.rounds == "interleaved":
        return Turns(cells, config, store, done)
    if config.search is None and config.pruning.pruner == "none":
        keys = {row["trial_key"] for row in done}
        return WholeGrid(cell for cell in cells if cell.key not in keys)
    from sweeps.pruning import GridStudies
    from sweeps.pruning_search import SearchStudies
    from sweeps.pruning_study import StudyBook

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
    _check_address(options.sweep)
    if not options.sweep.address:
        return _run(workload, options, command, ranges, None)
    from sweeps.launch import RayOptions, cluster_session

    with cluster_session(RayOptions(address=options.sweep.address, verbose=options.sweep.verbose)) as cluster:
        return _run(workload, options, command, ranges, cluster)


def _introduce(console: Console, config: SweepConfig, cluster: Cluster) -> None:
    """Say which nodes are used, which are not and why, and what follows from their kinds."""
    for node in cluster.all_nodes:
        if node.problem is not None:
            say(console, f"node {node.name} is left out: it {node.problem}")
    for node in cluster.nodes.values():
        devices = (
            ", ".join(f"{n} x {name}" if n > 1 else name for name, n in node.devices.items()) or "nothing to measure"
        )
        say(console, f"node {node.name}: {devices}; {node.kind('cpu')}"
                     f"{f', {node.accelerator_type}' if node.accelerator_type else ''}")  # fmt: skip
    for device in config.device:
        kinds = cluster.kinds(device)
        if len(kinds) > 1 and not config.node_kinds:
            told = f"{device} is of {len(kinds)} kinds here ({'; '.join(kinds)}), and a cell runs on whichever is free"
            say(console, f"{told}; --each-node runs every cell on each, --on-node and --accelerator-type choose")


def _run(
    workload: type[Workload], options: Any, command: Sequence[str], ranges: Mapping[str, Range], cluster: Cluster | None
) -> int:
    console = Console(soft_wrap=True)
    config, cells, store, done, machines = _open_or_create(workload, options, command, ranges, cluster)
    cluster = machines.cluster
    if store is None:
        keys = {row["trial_key"] for row in done}
        _print_grid(console, config, [cell for cell in cells if cell.key not in keys])
        return EXIT_OK
    common, n_cells = options.sweep, config.n_cells
    all_cells = "cells as they come" if n_cells is None else f"{n_cells} cells"
    counted = f"{n_cells - len(done)} of {all_cells}" if done and n_cells is not None else all_cells
    say(console, f"{config.workload}: {counted} on {', '.join(config.device)}; results in {store.folder}")
    if cluster is not None:
        _introduce(console, config, cluster)
    if config.search is not None and len(config.search.objectives) > 1:
        say(console, "several objectives: every cell is measured whole, for Optuna prunes for one objective only")
    interrupted = False
    chooser = _choose(config, cells, store, done)
    n_ends, n_ended = n_cells, len(done)
    if isinstance(chooser, Turns):
        n_ends, n_ended = len(cells) * N_VISITS, chooser.n_visited
        say(console, f"interleaved: {N_VISITS} visits to each cell, in turns")
    with _terminal(n_ends, n_ended, console) as terminal:
        ledger = Ledger(config, cells, store, chooser, terminal)
        try:
            if n_ends is None or n_ended < n_ends:
                from sweeps.launch import RayOptions, launch  # seconds to import, not needed to report bad usage

                node_timeout_s = parse_duration_s("node-timeout", common.node_timeout)
                ray_options = RayOptions(verbose=common.verbose, node_timeout_s=node_timeout_s)
                here = {} if cluster else {name: n_devices(name) for name in machines.devices}
                launch(config, ledger, ray_options, here, cluster, terminal.say)
        except Interrupted:
            interrupted = True
    for key, columns in chooser.finish().items():
        store.amend(key, columns)
    if not interrupted:
        store.compact()
    for line in [*chooser.summary(), *(cluster.differences() if cluster else ())]:
        say(console, line)
    is_cut = ledger.is_over_budget or interrupted
    return sum_up(console, common, config, cells, store, is_cut=is_cut, interrupted=interrupted)


@contextlib.contextmanager
def _terminal(n_cells: int | None, n_done: int, console: Console) -> Iterator[Terminal]:
    with Terminal(n_cells, n_done, console) as terminal:
        yield terminal
