"""What trains: AdamW as one kernel over all parameters, where the device has it."""

from __future__ import annotations

from torch import nn

from workloads.runtime.without_compiler import AdamW

WEIGHT_DECAY = 0.01


def adamw(parameters: list[nn.Parameter], rate: float) -> AdamW:
    """AdamW of these parameters at a learning rate."""
    try:
        return AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
    except RuntimeError:
        return AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY)
