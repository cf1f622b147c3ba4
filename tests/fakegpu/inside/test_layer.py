"""Our device layer on an accelerator that it has no name for: asked what it can do, and null where it does not count."""

from __future__ import annotations

import gc

import pytest
import torch

from sweeps.measure.device.description import describe
from sweeps.measure.device.device import available_devices, new_event, nvml_handle, total_bytes
from sweeps.measure.device.fresh import reset_device_state
from sweeps.measure.device.memory_counters import allocation_retries, memory_now
from sweeps.measure.monitors.memory import MemoryMonitor
from sweeps.measure.timing import transfer
from workloads.base import CellContext, UnsupportedError
from workloads.images.feeds import Ahead, resident
from workloads.registry import load_workload
from workloads.runtime.streams import has_streams, send
from workloads.runtime.torch_private import lacks_compiler

GPU = torch.device("fakegpu", 0)
MIB = 2**20
fake = torch.fakegpu


def is_discrete() -> bool:
    return has_streams(GPU.type)


def workload(name: str, **options: object):
    kind = load_workload(name)
    made = kind(CellContext(device=GPU, batch_size=2, options=kind.Options(**options)))
    made.setup()
    return made


def test_it_is_described() -> None:
    assert GPU.type in available_devices()
    about = describe(GPU.type)
    assert about.total_bytes == 2**30
    assert about.unified_memory is not is_discrete()
    assert (about.precisions["fp32"], about.precisions["bf16"], about.precisions["fp16"]) == (None, None, None)
    assert nvml_handle(GPU) is None
    assert new_event(GPU) is not None


def test_memory_is_what_is_recommended_or_what_there_is() -> None:
    fake.set_memory(3 * MIB)
    try:
        assert total_bytes(GPU) == (2**30 if is_discrete() else 3 * MIB)
        assert memory_now(GPU).recommended_max_bytes == (None if is_discrete() else 3 * MIB)
    finally:
        fake.set_memory(2**30)


def test_a_peak_is_exact_however_short_and_starts_anew() -> None:
    gc.collect()
    reset_device_state(GPU, 0)  # as a cell begins: blocks that other tests left would be reserved no more
    for _ in range(2):
        with MemoryMonitor(GPU, interval_s=60) as monitor:
            before = memory_now(GPU).allocated_bytes or 0
            torch.empty(64 * MIB, dtype=torch.uint8, device=GPU)  # gone before anybody could have sampled it
            columns = monitor.columns()
        assert columns["device_peak_allocated_bytes"] == 64 * MIB
        assert columns["device_held_before_bytes"] == before
        assert columns["device_peak_reserved_bytes"] >= columns["device_peak_allocated_bytes"]
        reset_device_state(GPU, 0)
    with MemoryMonitor(GPU, interval_s=60) as monitor:
        assert monitor.columns()["device_peak_allocated_bytes"] < before + 64 * MIB, (
            "the last cell's peak is not this one's"
        )


def test_what_the_allocator_does_not_count_is_null() -> None:
    assert (allocation_retries(GPU) is None) is not is_discrete()


def test_the_caller_of_send_may_drop_its_tensor_at_once() -> None:
    before = fake.counters()["n_freed_sources"]
    for source in (lambda: torch.arange(8), lambda: torch.arange(8).pin_memory()):
        got = [send(source(), GPU) for _ in range(20)]
        assert all(one.tolist() == list(range(8)) for one in got)
    assert fake.counters()["n_freed_sources"] == before


@pytest.mark.unified
def test_a_source_freed_before_it_is_read_is_caught() -> None:
    before = fake.counters()["n_freed_sources"]
    got = torch.arange(8).to(GPU, non_blocking=True)
    assert got.tolist() != list(range(8))
    assert fake.counters()["n_freed_sources"] == before + 1


def test_batches_made_ahead_are_the_right_ones() -> None:
    images, labels, next_index = torch.arange(64).reshape(16, 4), torch.arange(16), iter(range(100))
    feed = Ahead(
        resident(images.to(GPU), labels.to(GPU), lambda: torch.tensor([next(next_index) % 16] * 2)),
        lambda x: x * 2,
        GPU,
    )
    before = fake.counters()["n_unrecorded"]
    fake.set_operator_time(1e-3)
    try:
        for i in range(8):
            inputs, told = feed.next()
            used = inputs + 0
            feed.prepare()
            del inputs
            assert told.tolist() == [i, i]
            assert torch.equal(used.cpu(), (images[[i, i]] * 2))
    finally:
        fake.set_operator_time(0)
    assert fake.counters()["n_unrecorded"] == before


def test_pixels_decoded_on_the_cpu_are_not_told_as_the_devices() -> None:
    with pytest.raises(UnsupportedError, match=r"^decode: no JPEG decoder on fakegpu: "):
        workload("image-processing", pipeline=("decode",))


def test_torchvisions_colours_agree_though_it_frees_what_it_sends() -> None:
    before = fake.counters()["n_freed_sources"]
    made = workload("image-processing", pipeline=("classification",))
    ours, right = made.outputs_and_reference()
    assert (ours - right).abs().max() < 0.06 * right.abs().max()
    assert fake.counters()["n_freed_sources"] == before


def test_copies_have_their_columns_and_overlap_where_there_are_streams() -> None:
    seen = transfer.measure_transfers(GPU, torch.rand(2, 3, 32, 32), lambda batch: batch.mean((2, 3)))
    assert seen.unified_memory is not is_discrete()
    assert (
        min(seen.h2d_pinned_bytes_per_s or 0, seen.h2d_nonblocking_bytes_per_s or 0, seen.d2h_pinned_bytes_per_s or 0)
        > 0
    )
    assert (seen.overlapped_step_s is None) is not is_discrete()


@pytest.mark.unified  # torch asks for the device's name alone
def test_torch_says_that_it_compiles_nothing_for_it() -> None:
    assert lacks_compiler(GPU.type)
    assert not lacks_compiler("cpu")
    assert not lacks_compiler("mps"), "Inductor writes Metal: whether that works is tried"


def through(runtime: str):
    kind = load_workload("inference")
    options = kind.Options(runtime=(runtime,))
    return kind(CellContext(device=GPU, batch_size=2, model="efficientnet_lite0", options=options, n_compared=2))


@pytest.mark.parametrize(
    ("runtime", "told"),
    [("openvino", "not tied to fakegpu"), ("onnxruntime", "no execution provider for fakegpu: .*CPU"),
     ("onnxruntime-tensorrt", "no execution provider for fakegpu: .*CPU")],
)  # fmt: skip
def test_a_runtime_that_does_not_know_the_device_says_so(runtime: str, told: str) -> None:
    pytest.importorskip(runtime.removesuffix("-tensorrt"))
    with pytest.raises(UnsupportedError, match=told):
        through(runtime).setup()


def test_a_provider_that_copies_by_itself_is_given_the_hosts_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Core ML's: here the CPU's stands in its place, and really runs."""
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("workloads.models.runtimes.onnx_runtime._FOR_ACCELERATORS", ("CPU",))
    made = through("onnxruntime")
    assert made.setup().nodes_by_provider.startswith("CPU ")
    made.step()
    outputs, reference = made.outputs_and_reference()
    torch.testing.assert_close(outputs, reference.float(), rtol=1e-3, atol=1e-3)
    assert made.host_batch() is None
