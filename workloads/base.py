"""The protocol every workload implements: what is set up, what one step does, what it says of its quality.

A workload is one file with one class. The harness in ``sweeps`` owns the clock, the memory counters and the outcome; a
workload only does the work, on the device it was given, without synchronising.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from workloads.runtime.group import Group
from workloads.runtime.memory import Memory
from workloads.runtime.options import LatencyLimited, NoOptions, axes_of, constants_of
from workloads.scenarios import Sending

if TYPE_CHECKING:
    import torch

    Outputs = torch.Tensor | Mapping[str, torch.Tensor]
    Batch = torch.Tensor | tuple[torch.Tensor, ...]

__all__ = [
    "COMPILE_MODES", "MEMORY_FORMATS", "BadInputError", "BatchTooSmallError", "CellContext", "Comparable", "Countable",
    "Defaults", "Extras", "LatencyLimited", "NoOptions", "SetupFacts", "Transferable", "UnsupportedError", "Workload",
    "axes_of", "constants_of",
]  # fmt: skip
MEMORY_FORMATS = ("contiguous", "channels_last")
COMPILE_MODES = ("none", "default", "reduce-overhead", AUTOTUNE := "max-autotune", AHEAD := "aot")


class UnsupportedError(Exception):
    """The device, the installed libraries or the workload lack what the cell asks for.

    The message names it; the cell ends as ``unsupported``, which is a finding and not a failure.
    """


class BatchTooSmallError(UnsupportedError):
    """The workload has no meaning at so small a batch size and may have one at a larger one."""


class BadInputError(Exception):
    """The user's input cannot be used; the message holds the value and what is allowed (exit code 2)."""


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a workload sweeps where the user names nothing."""

    batch_size: tuple[int, ...]
    precision: tuple[str, ...] = ("fp32", "bf16")
    model: tuple[str, ...] = ("none",)
    smoke_batch_size: tuple[int, ...] = (1,)
    """Batch sizes of ``--smoke``, which must end within 60 s."""
    smoke_options: Mapping[str, Any] = field(default_factory=dict)
    """The workload's own options that ``--smoke`` sets where the user did not."""
    pruner: str = "none"
    """Optuna's pruner that a sweep has unless the user says otherwise."""
    prune_on: str = "throughput"
    """What it judges: ``accuracy`` only for a workload whose ``end_round`` reports it."""


@dataclass(frozen=True, kw_only=True)
class CellContext:
    """What one cell of the grid hands its workload.

    The precision's global switches (float32 matrix-product precision) are already set by the harness; the workload
    applies ``autocast_dtype`` around its own forward pass.
    """

    device: torch.device
    batch_size: int
    precision: str = "fp32"
    model: str = "none"
    memory_format: str = "contiguous"
    compile: str = "none"
    seed: int = 0
    options: Any = None
    """An instance of the workload's ``Options`` whose axes hold one value each (a tuple of length one)."""
    memory: Memory = field(default_factory=Memory)
    n_compared: int = 64  # different items to compare with the reference
    compared_s: float = 10.0  # after so many seconds of answers no more are had for that, once there are two
    group: Group = field(default_factory=Group)
    """The processes that compute the cell together; of one by default."""

    def check_fits(self, what: str, *, on_host: int = 0, on_device: int = 0) -> None:
        """``Memory.check_fits`` on the cell's device."""
        self.memory.check_fits(self.device, what, on_host=on_host, on_device=on_device)


@dataclass(frozen=True, kw_only=True)
class SetupFacts:
    """What the row records about a workload's real input and its static size."""

    input_shape: str
    """Channels x height x width of one item, such as ``3x224x224``."""
    input_source: str
    """Where the items come from, such as ``scikit-learn photographs`` or a folder's base name."""
    weights: str | None = None
    """``imagenet``, ``random`` or the source's name; null where the workload has no weights."""
    head: str | None = None
    """Of the user's own weights: ``loaded``, or ``new`` with its number of classes."""
    input_is_synthetic: bool = False
    n_images_skipped: int = 0
    """Files named as input that did not decode."""
    input_left_out: str | None = None
    """What a folder of input holds beside it and was not read, counted, in words."""
    decoder: str | None = None
    """What decodes the files that are decoded while it is measured, with its version."""
    static_bytes: int | None = None
    """Bytes of parameters and buffers."""
    item: str | None = None
    """What is counted, where it is not what the workload usually does."""
    code_commit: str | None = None
    """git's commit of the user's own model, with ``+`` where its code is changed."""
    n_train_items: int | None = None
    n_heldout_items: int | None = None


@runtime_checkable
class Workload(Protocol):
    """One kind of work that a sweep measures.

    Life of an instance, in one process and one thread: ``__init__(context)``, ``setup()``, then ``step()`` many times
    (the first ones are warm-up and are timed apart), ``end_round()`` after each round, ``quality()`` once at the end,
    ``teardown()`` always. ``step`` must not synchronise the device.

    Attributes:
        name: The name on the command line, such as ``inference``.
        item: What is counted, in the plural: ``images``.
        Options: A frozen keyword-only dataclass of the workload's own command-line options. A field typed
            ``tuple[...]`` is an axis of the grid, any other a constant of every cell. The string under it is its help.
        defaults: The axes where the user names none.
        steps_per_round: How many steps make a round, or None to let the harness decide by time.
        items_per_step: Items that one step works through, known after ``setup``.
    """

    name: ClassVar[str]
    item: ClassVar[str]
    Options: ClassVar[type[Any]]
    defaults: ClassVar[Defaults]
    steps_per_round: int | None
    items_per_step: int

    def __init__(self, context: CellContext) -> None: ...

    @classmethod
    def check(cls, options: Any, models: tuple[str, ...]) -> None:
        """Check what can be checked without a device, in the driver, before Ray starts.

        Raises:
            BadInputError: With the value given and what is allowed.
        """

    def setup(self) -> SetupFacts:
        """Load the input and the model onto the device.

        Raises:
            UnsupportedError: What the device or the libraries lack.
        """

    def step(self) -> None:
        """Run one batch; may return before the device has finished."""

    def end_round(self, round_index: int) -> Mapping[str, float]:
        """Say what a round reached, as columns of the rounds table (``accuracy``, ``loss``); not timed."""

    def is_done(self) -> bool:
        """Say whether the work is complete, such as the last epoch; always false for steady work."""

    def quality(self) -> Mapping[str, object]:
        """Columns of the trials table that tell whether the answer is right, such as ``top1_agreement_ratio``."""

    def teardown(self) -> None:
        """Let go of everything held on the device; called however the cell ended."""


@runtime_checkable
class Comparable(Protocol):
    """A workload whose answer can be compared with a slower, trusted one; the harness then judges it."""

    def outputs_and_reference(self) -> tuple[Outputs, Outputs]:
        """Outputs of ``context.n_compared`` different items from the cell's device and precision, and the CPU's.

        Both are on the CPU, floating point of one shape, items first; the CPU's in fp64 or fp32. Several outputs have
        names. Where an answer takes seconds, the outputs may be those of the first items alone.
        """


@runtime_checkable
class Transferable(Protocol):
    """A workload whose step has a copy in, a computation and a copy out that can be timed apart."""

    def host_batch(self) -> Batch | None:
        """One batch on the host, in pageable memory; None in a cell whose step takes no batch."""

    def compute(self, batch: Any) -> Any:
        """The step's work on a batch that is on the device already; the result, tensors in any structure, stays."""


@runtime_checkable
class Countable(Protocol):
    """A workload that torch.compile may run, inside of whose graphs no operation can be counted; see ``Extras``."""

    is_compiled: bool

    def plain_step(self) -> None:
        """The step's work without torch.compile: as many FLOPs."""

    def least_bytes(self) -> int | None:
        """Bytes that the compiled step reads and writes however well it is fused; None if unknown."""


@dataclass(frozen=True, kw_only=True)
class Extras:
    """Members that a workload may have beside those of the protocols; one that lacks a member has its default."""

    relative_tolerance: float | None = None
    """The largest difference over the reference's largest value that is no error where 8-bit images are rounded."""
    rounded_reference: Callable[[], Outputs] | None = None
    """The reference's answers to the first of the items compared, with each product rounded to ten stored bits."""
    first_steps: Callable[[], Any] | None = None
    """A training's first steps and a reference's, as ``workloads.models.training.first_steps`` has them."""
    step_is_compute: bool = False
    """``step`` is ``compute`` and nothing else: the computation need not be timed twice."""
    is_compiled: bool = False
    """The step goes through torch.compile in this cell."""
    product_types: tuple[str, ...] | None = None
    """Of a step that is not torch's: types of its products, of most first; empty where the runtime does not tell."""
    step_varying: Callable[[], object] | None = None
    """A step whose shapes are others than those of the step before, as caches of compiled graphs leak there."""
    restart: Callable[[], object] | None = None
    """Goes back to where work begins whose rounds build on one another, so that warm-up counts for nothing."""
    target_accuracy: float | None = None
    """What a training is to reach, from 0 to 1."""
    together: tuple[str, ...] = ()
    """Members that every process of a cell on several devices calls when the first one does."""
    why_one_device: Callable[[Any], str | None] = lambda _: "this workload computes on one device"
    """Why no cell with these options can be computed by several devices; None if some can."""
    weights_flops: float | None = None
    """FLOPs of a step in layers of which the weights alone are quantised."""
    incomparable: str | None = None
    """Why no answer can be compared with a reference's."""
    sending: Sending = field(default_factory=Sending)
    """The scenario of this cell, with what it needs."""

    @classmethod
    def of(cls, workload: Workload | type[Workload]) -> Extras:
        """What a workload has of them, set up or not."""
        names = [f.name for f in dataclasses.fields(cls) if hasattr(workload, f.name)]
        return cls(**{name: getattr(workload, name) for name in names})
