"""The command line as typed dataclasses: what each option means, its unit and its default; tyro reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from typing_extensions import Doc

from sweeps.plan.config import SweepConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.plan.parsing import AUTO, parse_batch_sizes, parse_duration_s
from sweeps.plan.search import PruningConfig, Range
from sweeps.plan.search_options import LatencyLimit, SearchOptions, Told, limits, pruning_config, search_config
from sweeps.text import portable_path
from workloads.base import (
    COMPILE_MODES,
    MEMORY_FORMATS,
    BadInputError,
    Extras,
    LatencyLimited,
    Workload,
    axes_of,
    constants_of,
)
from workloads.precision import PRECISIONS, precisions_in_words


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Options that every workload has. The grid is the product of the axes."""

    device: Told[tuple[str, ...]] = ()
    """Axis: devices to measure (cpu, cuda, mps, xpu). Default: every device this machine has."""
    batch_size: tuple[str, ...] = ()
    """Axis: items per step. auto: double until memory or gains end, then bisect to the largest that fits."""
    precision: Annotated[tuple[str, ...], Doc(f"Axis: {precisions_in_words()}.")] = ()
    model: tuple[str, ...] = ()
    """Axis: model names."""
    memory_format: tuple[str, ...] = ("contiguous",)
    """Axis: contiguous, channels_last."""
    compile: tuple[str, ...] = ("none",)
    """Axis: torch.compile mode: none, default, reduce-overhead."""
    min_rounds: int = 5
    """Measure at least this many rounds."""
    min_s: float = 1.0
    """Measure each cell at least this long, in seconds."""
    max_s: float = 10.0
    """Stop measuring a cell after this many seconds, precise or not."""
    precision_target: float = 0.02
    """Measure until the 95 % interval of the median step is within this share of it."""
    rounds: Literal["consecutive", "interleaved"] = "consecutive"
    """interleaved: visit the cells in turns, so that slow drift of the machine hits all alike."""
    cooldown: str = "0"
    """Pause after each cell, such as 5s."""
    leak_check: bool = False
    """Repeat each cell's step with fixed and varying shapes and judge whether memory grows."""
    trial_timeout: str = "10m"
    """End a cell that takes longer, set-up included."""
    budget: Told[str] = ""
    """End the whole sweep after this time, such as 10m, and say which cells are left. Default: no end."""
    isolate: bool = False
    """Give each cell a fresh process instead of reusing one per device."""
    seed: int = 0
    """Seed of every random generator."""
    output: Path = Path("results")
    """Folder of all results."""
    resume: Told[str] = ""
    """Go on with this sweep: measure only the cells it lacks. Its own options hold; others are ignored."""
    retry_failed: bool = False
    """With --resume: measure again the cells that ended as crashed, timeout or error."""
    dry_run: bool = False
    """Print the grid and its number of cells, and stop."""
    smoke: bool = False
    """A small grid with short rounds that ends within a minute."""
    address: Told[str] = ""
    """Address of a Ray cluster that runs already; auto finds the one that this machine is a node of.
    Default: start Ray here."""
    on_node: Told[tuple[str, ...]] = ()
    """With --address: use these nodes only; an id, host name or address as accelsweep nodes prints it.
    Default: all."""
    accelerator_type: Told[tuple[str, ...]] = ()
    """With --address: use nodes with these accelerators only, as accelsweep nodes prints them.
    Default: all."""
    each_node: bool = False
    """With --address: axis: run every cell on each kind of node (type of accelerator, or processor and CPUs)."""
    node_timeout: str = "10m"
    """With --address: give up a cell that no node has taken after this time."""
    report: bool = True
    """Write the Markdown report at the end."""
    record_hostname: bool = False
    """Record the host's name in the rows instead of a hash of it."""
    verbose: bool = False
    """Show what Ray says."""

    def __post_init__(self) -> None:
        allowed = {"precision": tuple(PRECISIONS), "memory_format": MEMORY_FORMATS, "compile": COMPILE_MODES}
        for name, choices in allowed.items():
            for value in getattr(self, name):
                if value not in choices:
                    raise BadInputError(f"--{name.replace('_', '-')}: {value!r} is not one of {', '.join(choices)}")
        parse_batch_sizes(self.batch_size)


def sweep_command(workload: type[Workload]) -> Any:
    """The dataclass of a workload's subcommand: the common options, then its own, without prefixes."""
    defaults = workload.defaults
    common = SweepOptions(
        batch_size=tuple(str(b) for b in defaults.batch_size),
        precision=defaults.precision,
        model=defaults.model,
    )
    own = workload.Options()
    doc = (workload.__doc__ or "").strip().split("\n\n")[0]
    fields: list[Any] = [
        ("sweep", Annotated[SweepOptions, tyro.conf.OmitArgPrefixes], dataclasses.field(default=common)),
        (
            "own",
            Annotated[workload.Options, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name=workload.name)],
            dataclasses.field(default=own),
        ),
        (
            "choice",
            Annotated[SearchOptions, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="pruning and search")],
            dataclasses.field(default=SearchOptions()),
        ),
    ]
    if not isinstance(own, LatencyLimited):
        limit = Annotated[LatencyLimit, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="limit")]
        fields.append(("limit", limit, dataclasses.field(default=LatencyLimit())))
    command = dataclasses.make_dataclass(f"Sweep_{workload.name}", fields, frozen=True, kw_only=True)
    command.__doc__ = doc
    return command


def _portable(value: Any) -> Any:
    """An option's value as a sweep keeps it: workers have another folder, and results are shown to others."""
    if isinstance(value, tuple):
        return tuple(_portable(part) for part in value)
    return portable_path(value) if isinstance(value, Path) else value


def build_config(
    workload: type[Workload], command: Any, devices: Sequence[str], ranges: Mapping[str, Range] | None = None,
    kinds: Mapping[str, Sequence[str]] | None = None,
) -> SweepConfig:  # fmt: skip
    """The sweep that a command line asks for.

    Args:
        workload: The workload's class.
        command: What ``sweep_command`` made of it: ``sweep``, ``own``, ``choice`` and where needed ``limit``.
        devices: The devices there are; asked-for devices must be among them.
        ranges: Axes given as a range, for a search.
        kinds: The kinds of the nodes to use by device, where that is not this machine alone.

    Raises:
        BadInputError: With the option, the value given and what is allowed.
    """
    common, own, choice = command.sweep, command.own, command.choice
    pruning = pruning_config(choice, workload.defaults)
    search = search_config(choice, dict(ranges or {}))
    is_auto = common.batch_size == (AUTO,)
    if is_auto and not choice.pruner:
        pruning = PruningConfig()  # a default that the user did not ask for must not cut the search for the largest
    if common.rounds == "interleaved" and Extras.of(workload).restart is not None:
        raise BadInputError(f"--rounds interleaved: a training's rounds build on one another; not for {workload.name}")
    if is_auto and pruning.pruner != "none":
        raise BadInputError(f"--pruner {pruning.pruner}: --batch-size auto measures every size it tries")
    for name in common.device:
        if name not in devices:
            where = "on this machine; here" if kinds is None else "on the nodes to use; there"
            raise BadInputError(f"--device: {name!r} is not {where}: {', '.join(devices)}")
    asked = common.device or tuple(devices)
    workload.check(own, common.model)
    smoke = common.smoke
    default_sizes = tuple(str(b) for b in workload.defaults.batch_size)
    sizes = parse_batch_sizes(common.batch_size)
    if smoke and common.batch_size == default_sizes:
        sizes = workload.defaults.smoke_batch_size
    # An axis that the user left empty has one value: none.
    option_axes = {name: _portable(values) or (None,) for name, values in axes_of(own).items()}
    for name in search.ranges if search else ():
        if name in option_axes:
            option_axes[name] = (search.ranges[name].low,)  # type: ignore[union-attr]
    constants = constants_of(own)
    if smoke:
        changed = workload.defaults.smoke_options
        plain = workload.Options()
        for name, value in changed.items():
            if getattr(own, name) == getattr(plain, name):
                (option_axes if isinstance(value, tuple) else constants)[name] = value
    measure = MeasureConfig(
        min_rounds=2 if smoke else common.min_rounds,
        min_s=min(common.min_s, 0.4) if smoke else common.min_s,
        max_s=min(common.max_s, 2.0) if smoke else common.max_s,
        precision_target=common.precision_target,
        cooldown_s=0.0 if common.cooldown == "0" else parse_duration_s("cooldown", common.cooldown),
        rounds=common.rounds,
        leak_check=common.leak_check,
        record_hostname=common.record_hostname,
        report_every_s=0.0 if pruning.pruner != "none" else 1.0,
    )
    return SweepConfig(
        workload=workload.name,
        device=asked,
        batch_size=sizes,
        precision=common.precision[:1]
        if smoke and common.precision == workload.defaults.precision
        else common.precision,
        model=common.model,
        memory_format=common.memory_format,
        compile=common.compile,
        option_axes=option_axes,
        option_constants={name: _portable(value) for name, value in constants.items()},
        seed=common.seed,
        measure=measure,
        trial_timeout_s=parse_duration_s("trial-timeout", common.trial_timeout),
        budget_s=parse_duration_s("budget", common.budget) if common.budget else None,
        isolate=common.isolate,
        is_batch_auto=is_auto,
        pruning=pruning,
        search=search,
        node_kinds={d: tuple(kinds[d]) for d in asked} if kinds is not None and common.each_node else {},
        on_node=common.on_node,
        accelerator_type=common.accelerator_type,
        limits=limits(choice, own.max_latency_ms if isinstance(own, LatencyLimited) else command.limit.max_latency_ms),
    )
