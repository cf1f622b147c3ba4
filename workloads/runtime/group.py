"""The processes that compute one cell together, a device each, as a workload sees them: its rank among them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workloads.runtime.late import late

if TYPE_CHECKING:
    import torch
    import torch.distributed as dist

    from workloads.runtime import torch_private
else:
    torch, dist = late("torch"), late("torch.distributed")
    torch_private = late("workloads.runtime.torch_private")

_TRAINING = ("step", "plain_step", "restart", "first_steps")
TRAINED_TOGETHER = {"ddp": _TRAINING, "fsdp": (*_TRAINING, "end_round")}
"""Members of a training that every process of its cell calls when the first one does: where each has a share of the
network, it cannot be evaluated by one of them."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """A process's place among those of its cell; by default it is the only one.

    Attributes:
        rank: Its number, from 0, which is the one that is measured.
        size: How many they are.
        store: Where they find each other, a ``torch.distributed.Store`` of this cell's own; None for one process.
        timeout_s: Seconds after which one that waits for another gives up.
    """

    rank: int = 0
    size: int = 1
    store: Any = None
    timeout_s: float = 1800.0

    @property
    def is_alone(self) -> bool:
        return self.size == 1

    def share(self, total: torch.Tensor) -> torch.Tensor:
        """This process's part of a batch of all, items first: the parts follow each other by rank."""
        return total.chunk(self.size)[self.rank]

    def join(self, device: torch.device) -> None:
        """Have torch.distributed connect the processes, by the backend that the installed torch has for the device.

        Raises:
            ValueError: If it has none.
        """
        dist.init_process_group(
            dist.get_default_backend_for_device(device), store=self.store, rank=self.rank, world_size=self.size,
            timeout=datetime.timedelta(seconds=self.timeout_s), device_id=None if device.index is None else device,
        )  # fmt: skip

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of a scalar over the processes, in each of them; every one must ask."""
        if self.is_alone:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def leave(self) -> None:
        """Let go of the connections once the workload is torn down, and nobody waits in them; safe to call without any.

        The harness does it. What was compiled may have captured them in graphs of kernels.
        """
        if self.is_alone or not dist.is_initialized():
            return
        if torch_private.has_compiled():
            torch.compiler.reset()
        dist.destroy_process_group()
