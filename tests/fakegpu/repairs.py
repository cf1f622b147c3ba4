"""Two places of torch that compute in float64 unless a device has the one name that is known to lack it."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch


def repair(c: ModuleType, name: str) -> None:
    """Let both work on the device of that name."""
    _repair_repr(name)
    _repair_grad_scaler(c)


def _repair_repr(name: str) -> None:
    from torch import _tensor_str

    original = _tensor_str._str_intern

    def str_intern(inp: Any, *, tensor_contents: str | None = None) -> str:
        if (
            tensor_contents is not None
            or type(inp) not in (torch.Tensor, torch.nn.Parameter)
            or inp.device.type != name
        ):
            return original(inp, tensor_contents=tensor_contents)
        tail = f", device='{inp.device}'"
        if inp.grad_fn is not None:
            tail += f", grad_fn=<{type(inp.grad_fn).__name__}>"
        elif inp.requires_grad:
            tail += ", requires_grad=True"
        return original(inp.detach().cpu())[:-1] + tail + ")"

    _tensor_str._str_intern = str_intern


def _repair_grad_scaler(c: ModuleType) -> None:
    original = torch.amp.GradScaler.unscale_

    def unscale_(self: torch.amp.GradScaler, optimizer: torch.optim.Optimizer) -> None:
        before = c.allow_double(True)
        try:
            return original(self, optimizer)
        finally:
            c.allow_double(before)

    torch.amp.GradScaler.unscale_ = unscale_
