"""What a sweep is asked to do: the grid, its cells with their stable keys, and how each cell is measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.contract.allocators import ALLOCATORS, DEFAULT
from analysis.contract.cells import OPTION_COLUMNS, TASK_OPTIONS
from analysis.contract.limits import Limits
from sweeps.plan.cell_options import code_option
from sweeps.plan.grid import LATER_OPTIONS, combinations
from sweeps.plan.labels import label_of
from sweeps.plan.measuring import MeasureConfig, check_choice
from sweeps.plan.restored import restored
from sweeps.plan.search import PruningConfig, SearchConfig
from workloads.base import AUTOTUNE, COMPILE_MODES, MEMORY_FORMATS, BadInputError
from workloads.precision import PRECISIONS
from workloads.scenarios import is_served

LARGEST_WHOLE, LARGEST_BATCH = 2**63 - 1, 2**31 - 1
"""What a column of whole numbers can hold, and what a batch."""
MOST_THREADS, MOST_REPEATS = 4096, 1000
LARGEST_SEED = 2**32 - 1
"""What every random generator takes; NumPy's is the narrowest."""
MOST_DEVICES = 1024
AXES = ("device", "n_devices", "batch_size", "precision", "model", "memory_format", "compile", "threads", "allocator")
"""Axes that every workload has."""
CELL_COLUMNS = ("workload", *AXES, "seed", "node", "repeat")
"""What a cell is, beside its workload's own options; the trials table has a column for each."""
_LATER_AXES: dict[str, object] = {"threads": None, "allocator": None, "repeat": 1, "n_devices": 1}
"""What a cell was before there was such an axis; it is left out of the key, so that keys stay."""
KEY_LENGTH = 16
"""Hex digits of a cell's key: 64 bits, so that a collision among 10,000 cells has odds under 1 in 10**11."""


def check_seed(seed: int) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise BadInputError(f"--seed: {seed} must lie between 0 and {LARGEST_SEED}")


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One cell of the grid: everything that decides what is run, nothing about how long it is measured."""

    workload: str
    device: str
    batch_size: int
    precision: str = "fp32"
    model: str = "none"
    memory_format: str = "contiguous"
    compile: str = "none"
    threads: int | None = None
    """CPU threads; None for what is the default where it runs."""
    allocator: str | None = None
    """Memory allocator of a cell on the CPU; None for what its worker has by default."""
    n_devices: int = 1
    """Devices of one node that compute it together, a process each; ``batch_size`` is each one's."""
    seed: int = 0
    node: str | None = None
    """Kind of node it must run on; None for any node that has the device."""
    repeat: int = 1
    """Which measurement of the cell it is; later ones have keys of their own."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The workload's own options, one value each."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadInputError(f"--batch-size: {self.batch_size} is not a positive whole number")
        if self.batch_size > LARGEST_BATCH:
            raise BadInputError(f"--batch-size: {self.batch_size} is over {LARGEST_BATCH}")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise BadInputError(f"--threads: {self.threads} must lie between 1 and {MOST_THREADS}")
        if not 1 <= self.n_devices <= MOST_DEVICES:
            raise BadInputError(f"--n-devices: {self.n_devices} must lie between 1 and {MOST_DEVICES}")
        check_seed(self.seed)
        check_choice("precision", self.precision, tuple(PRECISIONS))
        check_choice("memory-format", self.memory_format, MEMORY_FORMATS)
        check_choice("compile", self.compile, COMPILE_MODES)
        check_choice("allocator", self.allocator or DEFAULT, tuple(ALLOCATORS))

    def as_dict(self) -> dict[str, Any]:
        told = {**dataclasses.asdict(self), "options": dict(self.options)}
        for name, usual in _LATER_AXES.items():
            if told[name] == usual:
                del told[name]
        return told

    @property
    def told_options(self) -> dict[str, Any]:
        """The workload's options without later ones that say what was always done."""
        return {name: value for name, value in self.options.items() if value != LATER_OPTIONS.get(name, ...)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrialConfig:
        return cls(**{k: v for k, v in values.items() if k != "key"})

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> TrialConfig:
        """The cell of a row of the trials table, which may lack columns that were added later."""
        told = {name: row[name] for name in CELL_COLUMNS if name in row}
        told |= {name: row.get(name) or 1 for name in ("repeat", "n_devices")}
        columns = {name: row.get(OPTION_COLUMNS[name]) for name in LATER_OPTIONS}
        options = {**json.loads(row["options"] or "{}"), **{n: v for n, v in columns.items() if v is not None}}
        return cls(**told, options=options)

    @property
    def key(self) -> str:
        """Hash of the cell, the same on every machine and in every version that has the same options."""
        text = json.dumps({**self.as_dict(), "options": self.told_options}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

    @property
    def label(self) -> str:
        """A short name for people, such as ``cpu bf16 batch 32 full``."""
        return label_of(self)


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A whole sweep: the axes of its grid, how it is measured, and its limits."""

    workload: str
    device: tuple[str, ...]
    batch_size: tuple[int, ...]
    precision: tuple[str, ...]
    model: tuple[str, ...]
    memory_format: tuple[str, ...] = ("contiguous",)
    compile: tuple[str, ...] = ("none",)
    threads: tuple[int | None, ...] = (None,)
    """Axis of the cells on the CPU: None for the default where it runs; cells on an accelerator take that."""
    allocator: tuple[str | None, ...] = (None,)
    """Axis of the cells on the CPU, as ``threads``."""
    n_devices: tuple[int, ...] = (1,)
    """Axis: devices of one node that compute a cell together."""
    node_kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Axis: the kinds of node of each device, where every cell is to run on each; else empty."""
    on_node: tuple[str, ...] = ()
    """Nodes of the cluster that may be used; empty for all."""
    accelerator_type: tuple[str, ...] = ()
    """Types of accelerator whose nodes may be used; empty for all."""
    option_axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    option_constants: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    other_seeds: tuple[int, ...] = ()
    """With which each cell is measured as well."""
    repeats: int = 1
    """How often each cell is measured with each seed, each time in a fresh process."""
    recheck: bool = False
    """Where each cell is measured once, the first of each device is measured again at the end."""
    measure: MeasureConfig = field(default_factory=MeasureConfig)
    trial_timeout_s: float = 600.0
    budget_s: float | None = None
    isolate: bool = False
    is_batch_auto: bool = False
    """Find the batch sizes by doubling and bisection instead of taking them from ``batch_size``."""
    pruning: PruningConfig = field(default_factory=PruningConfig)
    search: SearchConfig | None = None
    limits: Limits = field(default_factory=Limits)
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of each model that is the user's code: ``name``, by which it is found again, and ``digest``."""

    def __post_init__(self) -> None:
        axes = {**{name: getattr(self, name) for name in AXES}, "seed": (self.seed, *self.other_seeds)}
        for name, values in {**axes, **self.option_axes}.items():
            if not values:
                raise BadInputError(f"--{name.replace('_', '-')}: needs at least one value")
            if len(set(values)) < len(values):
                raise BadInputError(f"--{name.replace('_', '-')}: {list(values)} names a value twice")
        for seed in self.other_seeds:
            check_seed(seed)
        if not 1 <= self.repeats <= MOST_REPEATS:
            raise BadInputError(f"--repeats: {self.repeats} must lie between 1 and {MOST_REPEATS}")
        if not 0 < self.trial_timeout_s < math.inf:
            raise BadInputError(f"--trial-timeout: {self.trial_timeout_s} s must be over 0 and finite")
        if self.budget_s is not None and not 0 < self.budget_s < math.inf:
            raise BadInputError(f"--budget: {self.budget_s} s must be over 0 and finite")
        if self.is_batch_auto and self.search is not None:
            raise BadInputError("--batch-size auto: is a search of its own; drop --search or give a range")
        if self.measure.rounds == "interleaved":
            scenarios = self.option_axes.get("scenario", ())
            for told, is_so in (("a pruner", self.pruning.pruner != "none"), ("a search", not self.is_grid),
                                ("the server scenario", any(map(is_served, scenarios)))):  # fmt: skip
                if is_so:
                    raise BadInputError(f"--rounds interleaved: returns to every cell of a grid; not with {told}")

    @property
    def is_grid(self) -> bool:
        """Every cell is known before the sweep starts."""
        return self.search is None and not self.is_batch_auto

    @property
    def n_runs(self) -> int:
        """How often each cell is measured that its first run does not give up, the recheck left out."""
        return self.repeats * (1 + len(self.other_seeds))

    @property
    def n_cells(self) -> int | None:
        """Cells of the whole sweep; None where only the sweep itself will tell."""
        if self.is_batch_auto:
            return None
        return len(self.cells()) if self.search is None else len(self.tasks()) * self.search.n_trials

    def cells(self) -> list[TrialConfig]:
        """The product of the axes, in the order of running: small batches first within each stratum."""
        axes: dict[str, Sequence[Any]] = {
            "device": self.device, "n_devices": sorted(self.n_devices), "allocator": self.allocator,
            "model": self.model, **self.option_axes, "precision": self.precision,
            "memory_format": self.memory_format, "compile": self.compile, "threads": self.threads,
            "batch_size": sorted(self.batch_size),
        }  # fmt: skip
        return [
            TrialConfig(workload=self.workload, **common, seed=self.seed, node=node,
                        options={**self.option_constants, **own, **code_option(self.code.get(common["model"]))})
            for common, own in combinations(axes, self.option_axes)
            for node in self.node_kinds.get(common["device"]) or (None,)
        ]  # fmt: skip

    def timeout_of(self, cell: TrialConfig) -> float:
        """Seconds that a cell may take; autotuning has its own beside them."""
        return self.trial_timeout_s + (self.measure.autotune_timeout_s if cell.compile == AUTOTUNE else 0.0)

    def tasks(self) -> list[TrialConfig]:
        """One cell of each task (model and the options that say what the work is), at the first value of the rest."""
        found: dict[str, TrialConfig] = {}
        for cell in self.cells():
            found.setdefault(task_of(cell), cell)
        return list(found.values())

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SweepConfig:
        """The inverse of ``as_dict`` after a round trip through JSON, which knows no tuples."""
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**restored(values, known))


def task_of(cell: TrialConfig) -> str:
    """The work that a cell does, whatever device, precision and batch size: only cells of one task are compared."""
    words = [cell.workload, cell.model, *(cell.options.get(name) for name in TASK_OPTIONS), cell.node]
    return " ".join(str(word) for word in words if word not in (None, "none"))


def stratum_of(cell: TrialConfig) -> str:
    """The name of a cell's Optuna study: its task on so many devices in one precision."""
    shared = f" {cell.n_devices} devices" if cell.n_devices > 1 else ""
    return f"{task_of(cell)} {cell.device} {cell.precision}{shared}"
