from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from workloads.base import CellContext, Workload
from workloads.registry import load_workload


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The networks here are so small that a fifth of the time goes where several threads wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def prepared(
    name: str, *, batch_size: int = 2, precision: str = "fp32", model: str = "none",
    memory_format: str = "contiguous", compile: str = "none", device: str = "cpu", n_compared: int = 8,
    **options: object
) -> Workload:  # fmt: skip
    """A workload, set up, on the CPU unless told otherwise."""
    kind = load_workload(name)
    context = CellContext(
        device=torch.device(device), batch_size=batch_size, precision=precision, model=model,
        memory_format=memory_format, compile=compile, options=kind.Options(**options),
        n_compared=n_compared,
    )  # fmt: skip
    workload = kind(context)
    workload.setup()
    return workload
