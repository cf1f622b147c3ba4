"""The four precisions: how matrix products of float32 are computed, and what autocast lowers to."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Precision:
    """One precision.

    Attributes:
        autocast_dtype: What autocast computes in; None for no autocast.
        float32_matmul: torch's setting for float32 matrix products and convolutions: ``highest`` or ``high``.
    """

    autocast_dtype: torch.dtype | None = None
    float32_matmul: str = "highest"


POLICIES: dict[str, Precision] = {
    "fp32": Precision(),
    "tf32": Precision(float32_matmul="high"),
    "bf16": Precision(autocast_dtype=torch.bfloat16),
    "fp16": Precision(autocast_dtype=torch.float16),
}


def apply_precision(name: str) -> None:
    """Set torch's process-wide switches for a precision; fp32 is strict, also in convolutions."""
    policy = POLICIES[name]
    torch.set_float32_matmul_precision(policy.float32_matmul)
    torch.backends.cudnn.allow_tf32 = policy.float32_matmul == "high"


def autocast(device: torch.device, name: str) -> contextlib.AbstractContextManager[object]:
    """Autocast for a precision's forward pass; does nothing for fp32 and tf32."""
    dtype = POLICIES[name].autocast_dtype
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


def compute_dtype(name: str) -> torch.dtype:
    """The type that a workload without autocast, such as image processing, computes in."""
    return POLICIES[name].autocast_dtype or torch.float32
