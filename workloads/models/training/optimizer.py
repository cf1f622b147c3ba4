"""What trains: AdamW as one kernel over all parameters, where the device has it."""

from __future__ import annotations

import torch
from torch import nn

WEIGHT_DECAY = 0.01


def adamw(parameters: list[nn.Parameter], rate: float) -> torch.optim.AdamW:
    """AdamW of these parameters at a learning rate."""
    try:
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
    except RuntimeError:
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY)
