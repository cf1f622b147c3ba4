"""What no machine's memory can hold is told by arithmetic, before minutes are spent on making it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workloads.runtime.late import late

if TYPE_CHECKING:
    import torch
else:
    torch = late("torch")


def parts_of(tensor: Any) -> Iterator[torch.Tensor]:
    """The plain tensors that a tensor is made of: itself, or of a class of its own those within it."""
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            if isinstance(part := getattr(tensor, name), torch.Tensor):  # a shard names its mesh of devices, too
                yield from parts_of(part)
    else:
        yield tensor


class NeverFitsError(MemoryError):
    """What a cell must hold at the same time is more than the memory that there is; nothing of it was tried."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The most that there can ever be, used by nothing else; None where it is not known, and nothing is refused."""

    host_bytes: int | None = None
    """Of processes of this machine, swap included."""
    device_bytes: int | None = None
    """Of the device's own."""
    is_shared: bool = False
    """The device has no memory but the host's."""

    def check_fits(self, device: torch.device, what: str, *, on_host: int = 0, on_device: int = 0) -> None:
        """Refuse what could not be held however long it was tried; call it before anything is made.

        Args:
            device: Where the cell runs.
            what: What it is, for the message.
            on_host: Bytes that the host holds of it at the same time, at the very least.
            on_device: The same of the device. On the CPU, where a copy to it is none, the larger of both counts; where
                a device shares the host's memory, their sum.

        Raises:
            NeverFitsError: If there is less.
        """
        here = max(on_host, on_device) if device.type == "cpu" else on_host + on_device * self.is_shared
        parts = [("this machine", here, self.host_bytes), ("the device", on_device, self.device_bytes)]
        for where, n_bytes, there in parts:
            if there is not None and n_bytes > there:
                needs, has = f"{n_bytes / 2**30:,.1f} GiB", f"{there / 2**30:,.1f} GiB"
                raise NeverFitsError(f"{what} alone takes {needs}; {where} has {has}")
