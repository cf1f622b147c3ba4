"""Command-line options of pruning and search, and what they make of a sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from analysis.contract.limits import Limits
from analysis.contract.objectives import OBJECTIVES, PRUNE_ON
from analysis.contract.pruners import PRUNERS, Parameter, parameters_of
from sweeps.plan.search import SAMPLERS, WRAPPED, PruningConfig, Range, SearchConfig, parse_range
from workloads.base import BadInputError, Defaults, Workload, axes_of


def _one_of(names: Iterable[str], told: str = "{}") -> Any:
    """Show these names as the choices of an option; the empty one stands for its absence."""
    return tyro.conf.arg(metavar=told.format("{" + ",".join(names) + "}"))


@dataclass(frozen=True, kw_only=True)
class _PruningOptions:
    pruner: Annotated[str, _one_of(PRUNERS)] = ""
    """Stop a cell early when Optuna's pruner of this name decides that it cannot be among the best of its study
    (same device, precision, model and task). Default: median for finetune, none for the others."""
    prune_on: Annotated[str, _one_of(PRUNE_ON)] = ""
    """What the pruner judges. Default: accuracy for finetune, throughput for the others."""
    prune_margin: float | None = None
    """Do not prune cells within this share of the best, as a few rounds cannot resolve so small a difference.
    Default: 0 on accuracy, else 0.1."""


@dataclass(frozen=True, kw_only=True)
class _RangeOptions:
    wrapped_pruner: Annotated[str, _one_of(p.wraps for p in PRUNERS.values() if p.wraps)] = ""
    """patient: the pruner that it wraps. Default: median."""
    search: Annotated[str, _one_of(SAMPLERS)] = ""
    """Search with Optuna's sampler instead of the whole grid; the axes then take ranges too:
    --batch-size 1:1024:log2, --learning-rate 1e-5:1e-1:log."""
    trials: int = 30
    """With --search: cells to measure for each model, pipeline, tune mode and scenario."""
    objective: Annotated[tuple[str, ...], _one_of(OBJECTIVES, "[{} [...]]")] = ()
    """With --search: what to optimise; several give the Pareto front, without pruning. Default: throughput."""
    max_memory_gb: float | None = None
    """Limit: peak memory of the device (of the process on a CPU), in GB of 10**9 bytes."""
    min_accuracy: float | None = None
    """Limit: held-out accuracy, between 0 and 1."""


_PARAMETERS = {name: parameter for pruner in PRUNERS.values() for name, parameter in pruner.parameters.items()}


def _field(name: str, parameter: Parameter) -> tuple[str, Any, Any]:
    """A parameter of pruners as a field, whose help names the pruners that take it."""
    takers = ", ".join(pruner for pruner in PRUNERS if name in parameters_of(pruner))
    told = tyro.conf.arg(help=f"{takers}: {parameter.told}")
    return name, Annotated[parameter.kind | None, told], dataclasses.field(default=None)


SearchOptions: Any = dataclasses.make_dataclass(
    "SearchOptions", [], frozen=True, kw_only=True,
    bases=(_RangeOptions, dataclasses.make_dataclass(
        "_PrunerOptions", [_field(*item) for item in _PARAMETERS.items()], frozen=True, kw_only=True,
    ), _PruningOptions),
)  # fmt: skip
SearchOptions.__doc__ = "Stop cells early, or search ranges instead of measuring the whole grid."


@dataclass(frozen=True, kw_only=True)
class LatencyLimit:
    """What a cell must meet to be recommended."""

    max_latency_ms: float | None = None
    """Limit: milliseconds per step, by the 99th percentile where it is known, otherwise by the median."""


DEFAULT_MARGIN = 0.1
"""The same cell's speed differs by so much between two sweeps of a virtual machine (docs/benchmarks.md)."""


def split_ranges(workload: type[Workload], arguments: Sequence[str]) -> tuple[list[str], dict[str, Range]]:
    """The arguments left of a command line, whose parser knows only values, and the range of each axis that had one."""
    options = {f"--{name.replace('_', '-')}": name for name in ("batch_size", "threads", *axes_of(workload.Options()))}
    flat = [part for a in arguments for part in (a.split("=", 1) if a.startswith("--") and "=" in a else [a])]
    kept: list[str] = []
    ranges: dict[str, Range] = {}
    option = ""
    for word, after in zip(flat, [*flat[1:], "--"], strict=False):  # without any word nothing comes after
        if word.startswith("--"):
            option = word.replace("_", "-")
        try:
            found = parse_range(word) if option in options else None
        except BadInputError as error:
            raise BadInputError(f"{option}: {error}") from error
        if found is None:
            kept.append(word)
            continue
        if kept[-1] != option or not after.startswith("--"):
            raise BadInputError(f"{option}: give one range, such as {word!r}, or values, not both")
        ranges[options[option]] = found
        kept.pop()
    return (kept if ranges else list(arguments)), ranges


def pruning_config(options: Any, defaults: Defaults) -> PruningConfig:
    """The pruning that the options and the workload's defaults ask for.

    Raises:
        BadInputError: If the pruner lacks a parameter or takes no such value, or the workload lacks the figure.
    """
    pruner = options.pruner or (defaults.pruner if not options.search else "none")
    prune_on = options.prune_on or defaults.prune_on
    if prune_on == "accuracy" and defaults.prune_on != "accuracy":
        raise BadInputError("--prune-on: this workload reports no 'accuracy' per round; allowed: throughput, latency, "
                            "energy_per_item")  # fmt: skip
    given = {n: value for n in (*_PARAMETERS, WRAPPED) if (value := getattr(options, n)) not in (None, "")}
    if options.prune_margin is not None and pruner == "none":
        raise BadInputError(f"--prune-margin {options.prune_margin:g}: needs a pruner, such as --pruner median")
    judged = (options.objective or ("throughput",))[0] if options.search else prune_on
    margin = options.prune_margin
    if margin is None:
        margin = 0.0 if judged == "accuracy" or pruner == "none" else DEFAULT_MARGIN
    config = PruningConfig(pruner=pruner, prune_on=prune_on, parameters=given, margin=margin)
    ours = {name: (p.on_accuracy if prune_on == "accuracy" else None) or p.ours
            for name, p in parameters_of(pruner).items()}  # fmt: skip
    filled = {name: value for name, value in ours.items() if value is not None}
    return dataclasses.replace(config, parameters={**filled, **given})


def search_config(options: Any, ranges: dict[str, Range]) -> SearchConfig | None:
    """The search that the options ask for, or None for the grid, which refuses what only a search has."""
    if not options.search:
        if ranges:
            axis = next(iter(ranges)).replace("_", "-")
            raise BadInputError(f"--{axis}: a range needs --search tpe, gp, nsga2 or random; a grid takes values")
        if options.objective:
            raise BadInputError(f"--objective {' '.join(options.objective)}: needs --search tpe, gp, nsga2 or random")
        return None
    if len(options.objective) > 1 and options.pruner not in {"", "none"}:
        raise BadInputError(f"--pruner {options.pruner}: Optuna prunes for one objective only; drop it or --objective")
    batch_sizes = ranges.get("batch_size")
    if batch_sizes and (not batch_sizes.is_whole or batch_sizes.low < 1):
        raise BadInputError("--batch-size: a range must have whole ends from 1, such as 1:1024:log2")
    objectives = options.objective or ("throughput",)
    return SearchConfig(sampler=options.search, n_trials=options.trials, objectives=objectives, ranges=ranges)


def limits(options: Any, max_latency_ms: float | None) -> Limits:
    """The limits that a cell must hold; one that makes no sense is refused."""
    memory_gb, accuracy = options.max_memory_gb, options.min_accuracy
    try:
        return Limits(max_latency_ms=max_latency_ms, max_memory_gb=memory_gb, min_accuracy=accuracy)
    except ValueError as error:
        raise BadInputError(str(error)) from error
