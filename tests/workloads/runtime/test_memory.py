"""What can never fit is refused by arithmetic, and nothing that could."""

from __future__ import annotations

import time

import pytest
import torch

from workloads.base import CellContext
from workloads.registry import load_workload
from workloads.runtime.memory import Memory, NeverFitsError

CPU, OTHER = torch.device("cpu"), torch.device("meta")
GIB = 2**30


@pytest.mark.parametrize(
    ("device", "memory", "on_host", "on_device", "told"),
    [
        (CPU, Memory(host_bytes=8 * GIB), 8, 8, None),  # one and the same memory
        (CPU, Memory(host_bytes=8 * GIB), 9, 0, "this machine has 8.0 GiB"),
        (CPU, Memory(host_bytes=8 * GIB), 0, 9, "this machine has 8.0 GiB"),
        (OTHER, Memory(host_bytes=8 * GIB, is_shared=True), 4, 4, None),
        (OTHER, Memory(host_bytes=8 * GIB), 8, 10**9, None),  # nobody knows what the device has
        (OTHER, Memory(host_bytes=8 * GIB, is_shared=True), 5, 4, "takes 9.0 GiB; this machine has 8.0 GiB"),
        (OTHER, Memory(host_bytes=8 * GIB, device_bytes=4 * GIB), 8, 4, None),
        (OTHER, Memory(host_bytes=8 * GIB, device_bytes=4 * GIB), 1, 5, "takes 5.0 GiB; the device has 4.0 GiB"),
        (OTHER, Memory(host_bytes=8 * GIB, device_bytes=4 * GIB), 9, 1, "takes 9.0 GiB; this machine has 8.0 GiB"),
        (OTHER, Memory(), 10**9, 10**9, None),
    ],
)
def test_host_and_device_each_count_where_they_are_apart(
    device: torch.device, memory: Memory, on_host: int, on_device: int, told: str | None
) -> None:
    context = CellContext(device=device, batch_size=1, memory=memory)
    if told is None:
        context.check_fits("it", on_host=on_host * GIB, on_device=on_device * GIB)
        return
    with pytest.raises(NeverFitsError, match=f"^it alone .*{told}$"):
        context.check_fits("it", on_host=on_host * GIB, on_device=on_device * GIB)


CASES = [
    ("inference", {}, "efficientnet_lite0"),
    ("inference", {"implementation": ("frozen",)}, "efficientnet_lite0"),
    ("image-processing", {"pipeline": ("resize",)}, "none"),
    ("image-processing", {"pipeline": ("decode",)}, "none"),
    ("finetune", {"image_size": 40_000}, "efficientnet_lite0"),
    ("finetune", {"image_size": 40_000, "feed": ("streamed",)}, "efficientnet_lite0"),
]


@pytest.mark.parametrize(("name", "options", "model"), CASES)
@pytest.mark.parametrize(
    "memory", [Memory(host_bytes=24 * GIB), Memory(host_bytes=10**16, device_bytes=80 * GIB)], ids=["host", "gpu"]
)
def test_a_batch_that_no_memory_holds_ends_in_seconds(name: str, options: dict, model: str, memory: Memory) -> None:
    if name == "finetune" and memory.device_bytes and options.get("feed"):
        pytest.skip("the host holds the images, and here it could")
    kind = load_workload(name)
    device = torch.device("meta" if memory.device_bytes else "cpu")
    n = 32 if name == "finetune" else 1_000_000
    context = CellContext(device=device, batch_size=n, model=model, options=kind.Options(**options), memory=memory)
    began = time.monotonic()
    with pytest.raises(NeverFitsError, match=r"alone takes [\d,.]+ GiB; (this machine|the device) has"):
        kind(context).setup()
    assert time.monotonic() - began < 60, "arithmetic, not trying"


@pytest.mark.parametrize(("name", "options", "model"), CASES[:4])
def test_what_fits_exactly_is_not_refused(name: str, options: dict, model: str) -> None:
    kind = load_workload(name)
    n_bytes = {"efficientnet_lite0": 2 * 3 * 224 * 224 * 4, "none": 2 * 3 * 427 * 640}[model]
    for host_bytes, is_refused in ((n_bytes, False), (n_bytes - 1, True)):
        memory = Memory(host_bytes=host_bytes)
        context = CellContext(device=CPU, batch_size=2, model=model, options=kind.Options(**options), memory=memory)
        workload = kind(context)
        if is_refused:
            with pytest.raises(NeverFitsError):
                workload.setup()
        else:
            workload.setup()
            workload.step()
        workload.teardown()
