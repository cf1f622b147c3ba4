"""The command line as typed dataclasses: what each option means, its unit and its default; tyro reads them."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from typing_extensions import Doc

from analysis.contract.allocators import ALLOCATORS, DEFAULT
from sweeps.plan.measuring import check_choice
from sweeps.plan.parsing import parse_batch_sizes
from sweeps.plan.search_options import LatencyLimit, SearchOptions
from workloads.base import COMPILE_MODES, MEMORY_FORMATS, BadInputError, LatencyLimited, Workload
from workloads.precision import PRECISIONS, precisions_in_words


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Options that every workload has. The grid is the product of the axes."""

    device: tuple[str, ...] = ()
    """Axis: devices to measure (cpu, cuda, mps, or whatever PyTorch names). Default: every device this machine has."""
    batch_size: tuple[str, ...] = ()
    """Axis: items per step. auto: double until memory or gains end, then bisect to the largest that fits."""
    precision: Annotated[tuple[str, ...], Doc(f"Axis: {precisions_in_words()}.")] = ()
    model: tuple[str, ...] = ()
    """Axis: efficientnet_lite0, a model of torchvision, timm/NAME, hf/NAME, or your own: path/to/net.py:FUNCTION or
    package.module:FUNCTION, a function or class that needs no arguments and gives a torch.nn.Module."""
    memory_format: tuple[str, ...] = ("contiguous",)
    """Axis: contiguous, channels_last."""
    compile: tuple[str, ...] = ("none",)
    """Axis: torch.compile mode: none, default, reduce-overhead, max-autotune. aot: ahead of time instead, by
    torch.export and AOTInductor (inference)."""
    threads: tuple[int, ...] = ()
    """Axis of cells on the CPU: threads to compute with. Default: OMP_NUM_THREADS if set, otherwise one per CPU, or
    one per fast core on a chip with two kinds of core."""
    allocator: tuple[str, ...] = (DEFAULT,)
    """Axis of cells on the CPU: the memory allocator. default: the environment's; kept: glibc's, set to keep freed
    memory, so that steps have no page faults; jemalloc, tcmalloc: if installed. Each except default runs in a process
    of its own."""
    n_devices: tuple[int, ...] = (1,)
    """Axis: devices of one node that run a cell together, one process each. --batch-size applies to each device.
    finetune trains data-parallel on all of them; inference has a replica on each (offline and server scenarios)."""
    min_rounds: int = 5
    """Measure at least this many rounds, if they fit within --max-s."""
    min_s: float = 1.0
    """Measure each cell for at least this many seconds, or for --max-s if that is less."""
    max_s: float = 10.0
    """Measure each cell for at most this many seconds, or for one step if that alone takes longer. Warm-up
    takes at most ten times as long, and never over 10 s. As many answers are compared with the reference as fit into
    the same time again: 2 to 64."""
    precision_target: float = 0.02
    """Measure until the 95 % interval of the median step is within this share of it."""
    rounds: Literal["consecutive", "interleaved"] = "consecutive"
    """interleaved: visit the cells in turns, so that slow drift of the machine affects all alike."""
    cooldown: str = "0"
    """Pause after each cell, such as 5s."""
    leak_check: bool = False
    """Repeat each cell's step with fixed and varying shapes and judge whether memory grows."""
    profile: bool = False
    """After timing a cell, run one of its steps under torch.profiler: the report shows where the time goes, the table
    profiles lists the longest kernels or operations, and the folder traces gets a Chrome trace."""
    trial_timeout: str = "10m"
    """End a cell that takes longer, including its set-up."""
    autotune_timeout: str = "5m"
    """End a cell with --compile max-autotune whose tuning takes longer; this time is on top of --trial-timeout."""
    budget: str = ""
    """End the whole sweep after this time, such as 10m, and list the cells that are left. Default: no limit."""
    isolate: bool = False
    """Give each cell a fresh process instead of reusing one per device."""
    repeats: int = 1
    """Measure each cell this many times, each time in a fresh process, in rounds of shuffled order."""
    recheck: bool = True
    """Without repeats, measure the first cell of each device again at the end, in a fresh process: the report then
    ignores differences within the machine's own variation. Training is measured again for one epoch."""
    seed: tuple[int, ...] = (0,)
    """Seed of every random generator. With several, each cell is measured with each, in a fresh process."""
    output: Path = Path("results")
    """Folder of all results."""
    resume: str = ""
    """Continue this sweep: measure only the cells it lacks. Its own options apply; others are ignored."""
    retry_failed: bool = False
    """With --resume: measure again the cells that ended as crashed, timeout or error."""
    dry_run: bool = False
    """Print the grid and its number of cells, and stop."""
    smoke: bool = False
    """A small grid with short rounds that ends within a minute."""
    address: str = ""
    """Address of a running Ray cluster; auto finds the one that this machine is a node of.
    Default: start Ray here."""
    on_node: tuple[str, ...] = ()
    """With --address: use these nodes only; an id, host name or address as accelsweep nodes prints it.
    Default: all."""
    accelerator_type: tuple[str, ...] = ()
    """With --address: use nodes with these accelerators only, as accelsweep nodes prints them.
    Default: all."""
    each_node: bool = False
    """With --address, an axis: run every cell on each kind of node (type of accelerator, or processor and CPUs)."""
    node_timeout: str = "10m"
    """With --address: end a cell that no node has taken after this time."""
    report: bool = True
    """Write the Markdown report at the end."""
    record_hostname: bool = False
    """Record the host's name in the rows instead of a hash of it."""
    verbose: bool = False
    """Show Ray's own messages."""

    def __post_init__(self) -> None:
        allowed = {"precision": tuple(PRECISIONS), "memory_format": MEMORY_FORMATS, "compile": COMPILE_MODES,
                   "allocator": tuple(ALLOCATORS)}  # fmt: skip
        for name, choices in allowed.items():
            for value in getattr(self, name):
                check_choice(name.replace("_", "-"), value, choices)
        parse_batch_sizes(self.batch_size)
        if not self.seed:
            raise BadInputError("--seed: needs at least one value")


def _part(kind: Any, default: Any, title: str | None = None) -> tuple[Any, Any]:
    """The type and default of options that a command has without a prefix, under a title of their own in its help."""
    shown = Annotated[kind, tyro.conf.OmitArgPrefixes]
    # Else tyro first looks for it in the source of what made the command's dataclass, which takes a fifth of its time.
    told = tyro.conf.arg(name=title, help=_first_words(kind))
    return Annotated[shown, told], dataclasses.field(default=default)


def _first_words(kind: type) -> str:
    """The first paragraph of a class's docstring; empty of what dataclasses write where nothing is said."""
    said = (kind.__doc__ or "").strip().split("\n\n")[0]
    return "" if said.startswith(f"{kind.__name__}(") else said


@functools.cache
def sweep_command(workload: type[Workload]) -> Any:
    """The dataclass of a workload's subcommand: the common options, then its own, without prefixes."""
    defaults, own = workload.defaults, workload.Options()
    sizes = tuple(map(str, defaults.batch_size))
    common = SweepOptions(batch_size=sizes, precision=defaults.precision, model=defaults.model)
    parts = {
        "sweep": _part(SweepOptions, common),
        "own": _part(workload.Options, own, workload.name),
        "choice": _part(SearchOptions, SearchOptions(), "pruning and search"),
    }
    if not isinstance(own, LatencyLimited):
        parts["limit"] = _part(LatencyLimit, LatencyLimit(), "limit")
    fields = [(name, *part) for name, part in parts.items()]
    command = dataclasses.make_dataclass(f"Sweep_{workload.name}", fields, frozen=True, kw_only=True)
    command.__doc__ = _first_words(workload)
    return command
