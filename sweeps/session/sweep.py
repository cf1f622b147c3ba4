"""A sweep that is ready to run: what was asked, what of it is done, where results go; new, or one to go on with."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from analysis.contract.cells import RETRIED
from analysis.contract.runs import is_first
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.plan.from_options import build_config
from sweeps.plan.runs import later_runs
from sweeps.plan.search import Range
from sweeps.plan.sweep_options import SweepOptions
from sweeps.scheduling.nodes import Cluster
from sweeps.session.machines import Machines, machines_again
from sweeps.session.terminal import SweepConsole, say
from sweeps.store.lock import sweep_lock
from sweeps.store.store import ResultStore, claim_folder
from workloads.base import BadInputError, Workload
from workloads.models.origins.own_code import collect, give


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A sweep that is ready to run; of a dry run nothing is written."""

    options: SweepOptions
    config: SweepConfig
    """What was asked, now or when it began."""
    cells: Sequence[TrialConfig]
    """Its grid; none where cells are chosen on the way."""
    store: ResultStore
    machines: Machines
    console: Console = field(default_factory=lambda: SweepConsole(soft_wrap=True))
    done: Sequence[dict[str, Any]] = ()
    """The rows recorded that count."""

    def say(self, text: str) -> None:
        say(self.console, text)

    @property
    def firsts(self) -> list[dict[str, Any]]:
        """Of the rows that count those of first runs."""
        return [row for row in self.done if is_first(row, {"seed": self.config.seed})]

    @property
    def n_rows(self) -> int | None:
        """Rows that there will be if each cell left is measured to its end, a recheck that is left left out.

        None where only the sweep itself will tell.
        """
        n_cells, n_again = self.config.n_cells, self.config.n_runs - 1
        if n_cells is None:
            return None
        n_lost = sum(row["status"] != "complete" for row in self.firsts)
        return n_cells + (n_again * (n_cells - n_lost) if n_again else len(self.done) - len(self.firsts))

    @property
    def left(self) -> list[TrialConfig]:
        """The runs that are known to be missing, in the order of the grid."""
        return missing(self.config, self.cells, self.done)


def missing(config: SweepConfig, cells: Sequence[TrialConfig], rows: Sequence[dict[str, Any]]) -> list[TrialConfig]:
    """The cells of a grid, and the later runs of what was measured, that have no row among these."""
    done = {row["trial_key"] for row in rows}
    return [cell for cell in (*cells, *later_runs(config, rows)) if cell.key not in done]


def new_sweep(
    workload: type[Workload], options: Any, ranges: Mapping[str, Range], cluster: Cluster | None,
    command: Sequence[str], held: contextlib.ExitStack,
) -> Sweep:  # fmt: skip
    """The sweep that a command line asks for, or BadInputError; until ``held`` is left, no other process runs it."""
    common = options.sweep
    machines = Machines.of(cluster, common.on_node, common.accelerator_type) if cluster else Machines()
    config = build_config(workload, options, machines.devices, ranges, machines.kinds)
    if cluster is None:
        _check_energy(config)
    cells = config.cells() if config.is_grid else []
    if common.dry_run:
        store = ResultStore(common.output)
    else:
        folder = claim_folder(config.workload, common.output)
        held.enter_context(sweep_lock(folder))
        store = ResultStore.create(folder, config, cells, command)
    return Sweep(options=common, config=config, cells=cells, store=store, machines=machines)


def resumed_sweep(
    workload: type[Workload], common: SweepOptions, cluster: Cluster | None, held: contextlib.ExitStack
) -> Sweep:
    """The sweep that ``--resume`` names, as it was asked for; BadInputError if there is none, or it cannot go on."""
    folder = common.output / common.resume
    if not common.dry_run and folder.is_dir():
        held.enter_context(sweep_lock(folder))
    store, description = ResultStore.open(folder, is_read_only=common.dry_run)
    config, cells = _described(common.resume, description)
    if config.workload != workload.name:
        raise BadInputError(f"--resume: {common.resume!r} is a sweep of {config.workload}, not of {workload.name}")
    _find_code(common.resume, config)
    machines = machines_again(config, common, cluster)
    again, incomplete = (RETRIED if common.retry_failed else ()), store.incomplete()
    done = [r for r in store.rows() if r["status"] not in again and r["trial_key"] not in incomplete]
    return Sweep(options=common, config=config, cells=cells, store=store, machines=machines, done=done)


def _find_code(name: str, config: SweepConfig) -> None:
    """Find the user's models of a sweep again; BadInputError if they are no longer what was measured."""
    for model, told in config.code.items():
        code = collect(told["name"], model)
        if code.digest != told["digest"]:
            hashes = f"its hash was {told['digest']} and is {code.digest}"
            raise BadInputError(
                f"--resume: {name!r}: {model!r} was changed since ({hashes}); restore it, or start a new sweep"
            )
        give(code)


def _described(name: str, description: Mapping[str, Any]) -> tuple[SweepConfig, list[TrialConfig]]:
    """What the sweep of a ``sweep.json`` was asked for, and its cells."""
    if "merged_from" in description:
        names = ", ".join(str(origin.get("sweep_id")) for origin in description["merged_from"])
        raise BadInputError(f"--resume: {name!r} is a merged sweep; resume the sweeps it was merged from: {names}")
    try:
        cells = [TrialConfig.from_dict(cell) for cell in description["cells"]]
        return SweepConfig.from_dict(description["config"]), cells
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInputError(
            f"--resume: {name!r}: its sweep.json does not say what was to be measured ({type(error).__name__}: {error})"
        ) from error


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
