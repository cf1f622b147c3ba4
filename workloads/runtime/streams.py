"""Whether a device can copy beside its own work: asked of the device by doing it, never told from its name."""

from __future__ import annotations

import contextlib
import functools
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@functools.cache
def has_streams(device_type: str) -> bool:
    """Whether the accelerator of a type has a second stream whose tensors the first one can wait for and keep alive.

    Apple GPUs have neither a second stream nor ``record_stream``. Found out once per process.
    """
    device = torch.device(device_type)
    try:
        side, main = torch.Stream(device), torch.accelerator.current_stream(device)
        with side:
            made = torch.zeros(1, device=device)
            is_made = side.record_event()
        main.wait_event(is_made)
        made.record_stream(main)
    except (RuntimeError, ValueError):  # what each backend raises here differs
        return False
    return bool(side != main)


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the host on the device; the caller may drop its own at once.

    Without waiting only from pinned memory, which its allocator keeps until the copy is done, and where the device has
    streams: pageable memory has been copied from after it was freed (pytorch issues 139550, 189690).
    """
    return tensor.to(device, non_blocking=has_streams(device.type) and tensor.is_pinned())


class _Waiting(TorchFunctionMode):
    """Lets no copy return before it is done."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return func(*args, **({**kwargs, "non_blocking": False} if kwargs.get("non_blocking") else kwargs))


def others_copies(device: torch.device) -> AbstractContextManager[object]:
    """Makes copies that others' code starts as safe as ``send``, on a device without streams.

    torchvision's ``adjust_hue`` sends a table of indices without waiting and frees it at once.
    """
    is_safe = device.type == "cpu" or has_streams(device.type)
    return contextlib.nullcontext() if is_safe else _Waiting()


def pinned(tensor: torch.Tensor) -> torch.Tensor | None:
    """A copy in pinned memory of the host; None where a backend has no such memory or hands out something else.

    On Apple GPUs it has been memory of the GPU itself (torch 2.7 to 2.13, pytorch issue 181374).
    """
    try:
        made = tensor.pin_memory()
        return made if made.device.type == "cpu" and made.is_pinned() else None
    except RuntimeError:  # what each backend raises here differs
        return None
