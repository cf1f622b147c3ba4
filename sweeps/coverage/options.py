"""The options of ``op-coverage`` and ``can-run``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sweeps.plan.measuring import check_choice
from sweeps.plan.parsing import parse_duration_s
from workloads.base import BadInputError

DTYPE_NAMES = ("fp32", "fp16", "bf16", "int8", "uint8")


SOURCE_NAMES = ("database", "transforms", "modules")


SMOKE_OPERATIONS = (
    "nn.functional.conv2d", "nn.functional.max_pool2d", "nn.functional.batch_norm",
    "nn.functional.interpolate?bilinear?",
    "addmm", "sort", "svd", "matrix_exp", "histc", "resize_image", "rotate_image",
    "normalize_image", "equalize_image", "torch.nn.Conv2d",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OperationCoverage:
    """Run every operation on every device and say what is unsupported, falls back, is wrong, crashes or hangs."""

    device: tuple[str, ...] = ()
    """Devices to run on (cpu, cuda, mps, or whatever PyTorch names). Default: every device this machine has."""
    dtype: tuple[str, ...] = DTYPE_NAMES
    """Types of the inputs: fp32, fp16, bf16; int8 and uint8 for image kernels and integer operators."""
    ops: tuple[str, ...] = ()
    """Only operations that match one of these shell patterns, such as 'conv*' 'resize*'."""
    source: tuple[str, ...] = SOURCE_NAMES
    """Only operations from these sources: database (PyTorch's operator database), transforms (torchvision), modules
    (the model zoo)."""
    max_samples: int = 32
    """Run at most this many of an operation's sample inputs, spread evenly over those it has."""
    operation_timeout: str = "60s"
    """End an operation that takes longer in one type, and the process that runs it."""
    strict: bool = False
    """Let operations that would fall back to the CPU raise an error, where the device has such a fallback."""
    timing: bool = True
    """Time supported operations at growing sizes against the CPU; --no-timing skips this."""
    predict: bool = False
    """Run nothing on the device, which need not be present: predict from the installed torch's list of kernels what it
    will do with each operation, with every model of torchvision's zoo and with the workloads."""
    smoke: bool = False
    """A few operations that end within a minute."""
    output: Path = Path("results")
    """Folder of all results."""
    resume: str = ""
    """Continue this sweep: run only what it lacks. Its own options apply."""
    retry_failed: bool = False
    """With --resume: run again what crashed or timed out."""
    processes: int = 0
    """Child processes at a time where nothing is timed; 0: one per processor."""

    def __post_init__(self) -> None:
        for dtype in self.dtype:
            check_choice("dtype", dtype, DTYPE_NAMES)
        for source in self.source:
            check_choice("source", source, SOURCE_NAMES)
        if self.max_samples < 1:
            raise BadInputError(f"--max-samples: {self.max_samples} must be at least 1")
        if self.processes < 0:
            raise BadInputError(f"--processes: {self.processes} must be at least 0")
        parse_duration_s("operation-timeout", self.operation_timeout)


@dataclass(frozen=True, kw_only=True)
class CanRun:
    """Say which operations of a torchvision model are missing, fall back or are wrong on a device."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model of torchvision's zoo, such as resnet18."""
    device: tuple[str, ...] = ()
    """Devices to check. Default: every device this machine has."""
    dtype: tuple[str, ...] = ("fp32",)
    """Types of the weights and the input: fp32, fp16, bf16."""
    predict: bool = False
    """Run nothing on the device, which need not be present: predict from the installed torch's list of
    kernels."""
    train: bool = False
    """Check the backward pass as well."""
    results: Path = Path("results")
    """Folder of all results: what coverage sweeps with this torch found there is not run again."""
    operation_timeout: str = "60s"
    """End an operation that takes longer, and the process that runs it."""

    def __post_init__(self) -> None:
        for dtype in self.dtype:
            check_choice("dtype", dtype, DTYPE_NAMES[:3])
        parse_duration_s("operation-timeout", self.operation_timeout)
