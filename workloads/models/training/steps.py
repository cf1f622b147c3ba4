"""A few steps of a training on one batch, kept as losses and the first one's gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from workloads.models.training.parallel import whole
from workloads.runtime.group import Group

N_STEPS = 2
LOWEST_SCALE = 2.0**-4


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What the first steps came to.

    Attributes:
        losses: One for each step.
        gradient: Of the first step, of all parameters that are trained, in one row.
    """

    losses: tuple[float, ...]
    gradient: torch.Tensor


def steps_of(
    forward: Callable[..., Any],
    parameters: Sequence[nn.Parameter],
    batch: tuple[torch.Tensor, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    lowered: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    *,
    scale: float = 1.0,
    n_steps: int = N_STEPS,
    group: Group | None = None,
) -> Steps:
    """Train for a few steps on one batch, which leaves the parameters changed.

    Args:
        forward: What gives the scores.
        parameters: Those that are trained, and that ``optimizer`` has.
        batch: Inputs and int64 labels, where the parameters are.
        optimizer: New.
        lowered: Autocast, if any.
        scale: Of the loss, at first; where gradients overflow it is made smaller, as a training would.
        n_steps: How many.
        group: The processes that train together, each on its own batch.
    """
    inputs, labels = batch
    group = group or Group()
    losses: list[float] = []
    gradient = torch.empty(0)
    for step in range(n_steps):
        while True:
            optimizer.zero_grad(set_to_none=True)
            with lowered():
                scores = forward(inputs)
                loss = nn.functional.cross_entropy(scores if scores.dtype == torch.float64 else scores.float(), labels)
            (loss * scale).backward()
            gradients = [p.grad for p in parameters if p.grad is not None]
            mean = group.mean(loss.detach())  # by which all decide alike, as by the gradients, which all have
            if scale <= LOWEST_SCALE or all(bool(whole(g.isfinite().all())) for g in gradients) or not mean.isfinite():
                break
            scale /= 16
        for part in gradients:
            part.div_(scale)
        if step == 0:
            gradient = torch.cat([whole(part.detach()).cpu().double().flatten() for part in gradients])
        losses.append(float(mean))
        if step < n_steps - 1:  # the last step's weights are nobody's
            optimizer.step()
    return Steps(losses=tuple(losses), gradient=gradient)
