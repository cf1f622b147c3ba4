"""The sweep that a command line asks for, from its options."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from analysis.contract.allocators import DEFAULT
from sweeps.measure.device.host import threads_told
from sweeps.plan.config import SweepConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.plan.parsing import AUTO, parse_batch_sizes, parse_duration_s
from sweeps.plan.search import PruningConfig, Range, SearchConfig
from sweeps.plan.search_options import SearchOptions, limits, pruning_config, search_config
from sweeps.plan.sweep_options import SweepOptions
from sweeps.text import portable_path
from workloads.base import BadInputError, Extras, LatencyLimited, Workload, axes_of, constants_of
from workloads.models.origins.own_code import Code, collect, give, is_own


def _portable(value: Any) -> Any:
    """An option's value as a sweep keeps it: workers have another folder, and results are shown to others."""
    if isinstance(value, tuple):
        return tuple(_portable(part) for part in value)
    return portable_path(value) if isinstance(value, Path) else value


_SAME = ("precision", "memory_format", "compile", "repeats", "isolate", "on_node", "accelerator_type")
_SAME_MEASURE = ("min_rounds", "min_s", "max_s", "precision_target", "rounds", "leak_check", "profile",
                 "record_hostname")  # fmt: skip
"""What a sweep and its measuring take from the option of the same name as it is."""

SMOKE_COMPARED = 8
"""Items compared with the reference with ``--smoke``."""


def code_of_models(names: Sequence[str]) -> dict[str, Code]:
    """The user's own code among models, by what they called it; from now on its name in tables means it here.

    Two that would have one name in tables keep what they were called.
    """
    own = {name: collect(name) for name in names if is_own(name)}
    shown = Counter(code.name for code in own.values())
    own = {name: code if shown[code.name] == 1 else replace(code, name=name) for name, code in own.items()}
    for code in own.values():
        give(code)
    return own


def portable_code(code: Code) -> str:
    """What finds code again from any folder of this machine."""
    where = code.module if code.is_installed else f"{code.root}/{next(iter(code.files))}"
    return f"{where}:{code.attribute}"


def build_config(
    workload: type[Workload], command: Any, devices: Sequence[str], ranges: Mapping[str, Range] | None = None,
    kinds: Mapping[str, Sequence[str]] | None = None,
) -> SweepConfig:  # fmt: skip
    """The sweep that a command line asks for; BadInputError has the option, the value given and what is allowed.

    Args:
        workload: Its class.
        command: What ``sweep_command`` made of it: ``sweep``, ``own``, ``choice`` and where needed ``limit``.
        devices: Those there are, among which the ones asked for must be.
        ranges: Axes given as a range, for a search.
        kinds: The kinds of the nodes to use by device, where that is not this machine alone.
    """
    common, own, choice = command.sweep, command.own, command.choice
    is_auto = common.batch_size == (AUTO,)
    pruning = _pruning(workload, choice, is_auto=is_auto)
    search = search_config(choice, dict(ranges or {}))
    _check_rounds(workload, common.rounds)
    asked = devices_asked(common.device, devices, is_here=kinds is None)
    codes = code_of_models(common.model)  # before the models are tried: as their code is now, whatever ran before
    workload.check(own, common.model)
    if common.smoke:
        common = _small(workload, common)
    max_latency_ms = own.max_latency_ms if isinstance(own, LatencyLimited) else command.limit.max_latency_ms
    return SweepConfig(
        workload=workload.name,
        device=asked,
        batch_size=parse_batch_sizes(common.batch_size),
        measure=_measure_config(common, is_pruned=pruning.pruner != "none", is_here=kinds is None),
        trial_timeout_s=parse_duration_s("trial-timeout", common.trial_timeout),
        budget_s=parse_duration_s("budget", common.budget) if common.budget else None,
        is_batch_auto=is_auto,
        pruning=pruning,
        search=search,
        node_kinds={d: tuple(kinds[d]) for d in asked} if kinds is not None and common.each_node else {},
        limits=limits(choice, max_latency_ms),
        threads=common.threads or (None,),
        allocator=tuple(None if name == DEFAULT else name for name in common.allocator),
        n_devices=_n_devices(workload, common.n_devices, own),
        seed=common.seed[0],
        other_seeds=common.seed[1:],
        code={code.name: {"name": portable_code(code), "digest": code.digest} for code in codes.values()},
        model=tuple(codes[name].name if name in codes else name for name in common.model),
        recheck=common.recheck and not common.smoke,
        **_own_options(workload, own, search, smoke=common.smoke),
        **{name: getattr(common, name) for name in _SAME},
    )


def _check_rounds(workload: type[Workload], rounds: str) -> None:
    if rounds == "interleaved" and Extras.of(workload).restart is not None:
        raise BadInputError(
            f"--rounds interleaved: the rounds of training build on one another; not available for {workload.name}"
        )


def _pruning(workload: type[Workload], choice: SearchOptions, *, is_auto: bool) -> PruningConfig:
    """The pruning asked for; a default that the user did not ask for must not cut the search for the largest batch."""
    pruning = pruning_config(choice, workload.defaults)
    if not is_auto or pruning.pruner == "none":
        return pruning
    if choice.pruner:
        raise BadInputError(f"--pruner {pruning.pruner}: --batch-size auto measures every size it tries")
    return PruningConfig()


def _n_devices(workload: type[Workload], asked: tuple[int, ...], own: Any) -> tuple[int, ...]:
    """How many devices are to compute a cell together, which the workload must know how to do."""
    several = [n for n in asked if n > 1]
    if several and (why := Extras.of(workload).why_one_device(own)) is not None:
        raise BadInputError(f"--n-devices: {several[0]}: {why}; allowed: 1")
    return asked


def check_address(common: Any) -> None:
    """BadInputError for an option that means a cluster, without ``--address``."""
    parse_duration_s("node-timeout", common.node_timeout)
    for name in ("on_node", "accelerator_type", "each_node"):
        if getattr(common, name) and not common.address:
            raise BadInputError(f"--{name.replace('_', '-')}: is for a cluster; give its --address, HOST:PORT or auto")


def devices_asked(asked: Sequence[str], there: Sequence[str], *, is_here: bool = True) -> tuple[str, ...]:
    """The devices to measure, which must be there (on this machine, or on nodes of a cluster); all if none is named.

    Accelerators come first, in the order given: theirs is the answer that people wait for.
    """
    for name in asked:
        if name not in there:
            where = "on this machine; here" if is_here else "on the nodes to use; there"
            raise BadInputError(f"--device: {name!r} is not {where}: {', '.join(there)}")
    return tuple(sorted(asked or there, key=lambda name: name == "cpu"))


def _small(workload: type[Workload], common: SweepOptions) -> SweepOptions:
    """The options with ``--smoke``: short rounds, and fewer values of the axes that the user did not name."""
    defaults, sizes, precision = workload.defaults, common.batch_size, common.precision
    is_default = sizes == tuple(map(str, defaults.batch_size))
    return dataclasses.replace(
        common, min_rounds=2, min_s=min(_min_s(common), 0.4), max_s=min(common.max_s, 2.0),
        batch_size=tuple(map(str, defaults.smoke_batch_size)) if is_default else sizes,
        precision=precision[:1] if precision == defaults.precision else precision,
    )  # fmt: skip


def _min_s(common: SweepOptions) -> float:
    """``--min-s``; where it was not asked for, as much of it as the longest time has room for."""
    return min(common.min_s, common.max_s) if common.min_s == type(common).min_s else common.min_s


def _own_options(workload: type[Workload], own: Any, search: SearchConfig | None, *, smoke: bool) -> dict[str, Any]:
    """A workload's own options: those that are axes, and those that are the same in every cell."""
    # An axis that the user left empty has one value: none.
    axes = {name: _portable(values) or (None,) for name, values in axes_of(own).items()}
    axes |= {name: (r.low,) for name, r in (search.ranges if search else {}).items() if name in axes}
    # Nor is a list of nothing an option: cells keep the keys that they had before there was one.
    constants = {name: _portable(value) for name, value in constants_of(own).items() if value != []}
    plain = workload.Options()
    for name, value in workload.defaults.smoke_options.items() if smoke else ():
        if getattr(own, name) == getattr(plain, name):
            (axes if isinstance(value, tuple) else constants)[name] = value
    return {"option_axes": axes, "option_constants": constants}


def _measure_config(common: SweepOptions, *, is_pruned: bool, is_here: bool) -> MeasureConfig:
    """How each cell is measured; this machine's environment decides nothing on the nodes of a cluster."""
    told = threads_told() if is_here else None
    common = dataclasses.replace(common, min_s=_min_s(common))
    return MeasureConfig(
        cooldown_s=0.0 if common.cooldown == "0" else parse_duration_s("cooldown", common.cooldown),
        autotune_timeout_s=parse_duration_s("autotune-timeout", common.autotune_timeout),
        report_every_s=0.0 if is_pruned else 1.0,
        n_compared=SMOKE_COMPARED if common.smoke else MeasureConfig.n_compared,
        n_threads=told and told[1],
        **{name: getattr(common, name) for name in _SAME_MEASURE},
    )
