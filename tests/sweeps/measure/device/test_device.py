"""Devices are found, probed by computing, and errors are told apart. Other makers' devices are stood in for by
objects with exactly the functions that PyTorch documents for them."""

from __future__ import annotations

import errno
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sweeps.measure.device import device as devices
from sweeps.measure.device.description import describe
from sweeps.measure.device.device import (
    KINDS,
    available_devices,
    n_devices,
    new_event,
    nvml_handle,
    open_device,
    set_threads,
    synchronize,
    unsupported_reason,
)
from sweeps.measure.device.errors import is_out_of_memory, is_unsupported
from sweeps.measure.device.fresh import reset_device_state
from sweeps.measure.device.memory_counters import DeviceMemory, memory_now
from sweeps.measure.device.precisions import float32_products
from workloads.precision import PRECISIONS

CPU = torch.device("cpu")
APPLE = SimpleNamespace(type="mps")
"""Stands in for torch.device("mps"), which only a Mac can open."""


def test_the_cpu_comes_first_and_is_known() -> None:
    assert available_devices()[0] == "cpu"
    assert n_devices("cpu") == 1
    assert open_device("cpu") == CPU


def test_a_device_that_is_not_here_is_named_with_those_that_are() -> None:
    absent = next(name for name in KINDS if name not in available_devices())
    with pytest.raises(ValueError, match=f"'{absent}' is not on this machine; here: cpu"):
        open_device(absent)
    assert n_devices(absent) == 0


def test_describe_says_what_the_cpu_is() -> None:
    cpu = describe("cpu")
    assert cpu.device_name
    assert cpu.unified_memory
    assert cpu.driver_version is None
    assert cpu.total_bytes is not None
    assert cpu.total_bytes > 2**28
    assert tuple(cpu.precisions) == tuple(PRECISIONS)
    assert cpu.precisions["fp32"] is None


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_probe_agrees_with_a_real_product_in_that_precision(precision: str) -> None:
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    try:
        with torch.autocast("cpu", dtype=dtype):
            works = (torch.ones(4, 4) @ torch.ones(4, 4)).dtype == dtype
    except RuntimeError:
        works = False
    assert (unsupported_reason("cpu", precision) is None) == works


def test_tf32_is_supported_only_where_it_changes_the_product() -> None:
    a = torch.rand(256, 256, generator=torch.Generator().manual_seed(5))
    full = a @ a
    with float32_products("tf32"):
        changed = bool(((a @ a) != full).any())
    reason = unsupported_reason(CPU, "tf32")
    assert (reason is None) == changed
    if reason is not None:
        assert reason.startswith("tf32 needs ")


def test_an_unknown_precision_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="one of fp32, tf32, bf16, fp16"):
        unsupported_reason("cpu", "fp64")


def test_float32_products_are_restored_even_after_an_error() -> None:
    before = torch.get_float32_matmul_precision()
    with float32_products("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    with pytest.raises(RuntimeError), float32_products("tf32"):
        torch.ones(2) @ torch.ones(3)
    assert torch.get_float32_matmul_precision() == before


def test_a_full_device_is_not_taken_for_a_missing_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> torch.Tensor:
        return torch.empty(2**48, dtype=torch.uint8)

    monkeypatch.setattr(torch.nn.functional, "conv2d", full)
    from sweeps.measure.device.precisions import probe_lowered

    with pytest.raises(RuntimeError) as caught:
        probe_lowered(CPU, "bf16")
    assert is_out_of_memory(caught.value)


def raised_by(call: object) -> Exception:
    try:
        call()  # type: ignore[operator]
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def wrapped(cause: Exception) -> Exception:
    def call() -> None:
        raise RuntimeError("backend='inductor' raised:") from cause

    return raised_by(call)


OUT_OF_MEMORY = {
    "the real allocator": raised_by(lambda: torch.empty(2**48, dtype=torch.uint8)),
    "numpy": raised_by(lambda: np.empty(2**60, dtype=np.uint8)),
    "python": raised_by(lambda: bytearray(2**60)),
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cublas": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "apple": RuntimeError("MPS backend out of memory (MPS allocated: 17.95 GB, other allocations: 128 MB)"),
    "apple, one tensor": RuntimeError("Invalid buffer size: 19.45 GiB"),
    "intel": RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
    "fork": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "compiled": wrapped(torch.OutOfMemoryError("CUDA out of memory.")),
}
UNSUPPORTED = {
    "a real operation": raised_by(lambda: torch.linalg.inv(torch.eye(2, dtype=torch.float16))),
    "the same in torch 2.11": RuntimeError("linalg.inv: Low precision dtypes not supported. Got Half"),
    "a real kernel": raised_by(lambda: torch.linalg.svd(torch.ones(2, 2, dtype=torch.bfloat16))),
    "apple's operation": NotImplementedError(
        "The operator 'aten::linalg_qr.out' is not currently implemented for the MPS device."
    ),
    "apple's type": TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."),
    "apple's size": RuntimeError("Output size of the matrix multiplication is larger than currently supported by the MPS backend"),
    "an old gpu": RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    "no compiler": wrapped(RuntimeError("No working C++ compiler found in torch._inductor.config.cpp.cxx")),
}  # fmt: skip
NEITHER = {
    "a wrong shape": raised_by(lambda: torch.ones(2) @ torch.ones(3)),
    "the user's model": raised_by(lambda: torch.nn.Module()(1)),
    "an abstract method": NotImplementedError(),
    "a wrong key": KeyError("out of memory"),
    "a crash": RuntimeError("CUDA error: an illegal memory access was encountered"),
}


@pytest.mark.parametrize("error", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY)
def test_running_out_of_memory_is_recognised(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_unsupported(error)


@pytest.mark.parametrize("error", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_not_supported_is_recognised(error: Exception) -> None:
    assert is_unsupported(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", NEITHER.values(), ids=NEITHER)
def test_other_errors_are_neither(error: Exception) -> None:
    assert not is_out_of_memory(error)
    assert not is_unsupported(error)


def test_errors_that_refer_to_each_other_end_the_search() -> None:
    first, second = RuntimeError("one"), RuntimeError("two")
    first.__cause__, second.__cause__ = second, first
    assert not is_out_of_memory(first)


def test_reset_makes_every_generator_start_anew() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), torch.rand(1).item()

    reset_device_state(CPU, 7)
    first = draw()
    draw()
    reset_device_state(CPU, 7)
    assert draw() == first
    reset_device_state(CPU, 8)
    assert draw() != first


def test_threads_are_set_and_kept() -> None:
    before = torch.get_num_threads()
    try:
        set_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        set_threads(before)


def test_the_cpu_has_neither_counters_nor_events_nor_nvml() -> None:
    assert memory_now(CPU) == DeviceMemory()
    assert new_event(CPU) is None
    assert new_event(torch.device("meta")) is None, "an event of a backend without them can be made, but not recorded"
    assert nvml_handle(CPU) is None


def test_importing_every_module_touches_no_hardware() -> None:
    """Nor does it import what a measurement, or a network in PyTorch, does without."""
    # torch imports NVML's bindings itself, so what counts is whether anybody started NVML or opened a device.
    code = """
import importlib, pkgutil, sys
import sweeps.measure
assert "torch" not in sys.modules
import pynvml
started = []
pynvml.nvmlInit = lambda: started.append("NVML")
from sweeps.measure import Timer, open_device, run_round, verify_timing, check_leak, measure_transfers, run_selftest
run_round(lambda: None, Timer(open_device("cpu")), 0.01)
names = [module.name for module in pkgutil.walk_packages(sweeps.measure.__path__, "sweeps.measure.")]
for name in names:
    importlib.import_module(name)
for name in sweeps.measure.__all__:
    getattr(sweeps.measure, name)
assert not {"ray", "optuna", "pandas"} & set(sys.modules)
import workloads.inference
from workloads.models.runtimes import elsewhere, onnx_runtime, open_vino
from workloads.runtime.late import import_all
import_all()
assert not {"onnx", "onnxruntime", "onnxscript", "openvino", "nncf"} & set(sys.modules), "asked for by nobody"
import torch
assert not started and not torch.cuda.is_initialized() and not torch.xpu.is_initialized()
print(len(names) > 15)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "True", done.stderr


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """torch.mps's documented functions, answering as a Mac's would; the names of those called that do something."""
    calls: list[str] = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: calls.append("synchronize"))
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: calls.append("empty_cache"))
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: 3)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 5)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 7)
    return calls


def test_an_apple_gpu_is_synchronised_and_reset_by_its_own_functions(apple: list[str]) -> None:
    synchronize(APPLE)  # type: ignore[arg-type]
    assert apple == ["synchronize"]
    reset_device_state(APPLE, 0)  # type: ignore[arg-type]
    assert apple[1:] == ["synchronize", "empty_cache"]


@pytest.mark.usefixtures("apple")
def test_an_apple_gpu_counts_what_is_held_and_has_no_peaks_or_events() -> None:
    now = memory_now(APPLE)  # type: ignore[arg-type]
    assert (now.allocated_bytes, now.reserved_bytes, now.recommended_max_bytes) == (3, 5, 7)
    assert now.peak_allocated_bytes is None
    assert new_event(APPLE) is None  # type: ignore[arg-type]
    assert devices.has_unified_memory(APPLE)  # type: ignore[arg-type]


def test_a_kind_that_nobody_described_gives_what_its_backend_tells_and_null_for_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    abacus = SimpleNamespace(type="abacus")
    bare = [ask(abacus) for ask in (devices.device_name, devices.total_bytes, devices.driver_version)]
    assert bare == ["abacus", None, None]
    assert devices.has_unified_memory(abacus) is None
    assert nvml_handle(abacus) is None
    assert devices.fallback_environment("abacus", allow=True) == {}
    about = SimpleNamespace(total_memory=2**20, is_integrated=1, driver_version="7")
    backend = SimpleNamespace(get_device_name=lambda _: "Abacus 1", get_device_properties=lambda _: about)
    monkeypatch.setattr(torch, "abacus", backend, raising=False)
    told = [ask(abacus) for ask in (devices.device_name, devices.total_bytes, devices.driver_version)]
    assert told == ["Abacus 1", 2**20, "7"]
    assert devices.has_unified_memory(abacus) is True


def test_an_accelerator_that_only_torch_names_is_a_device_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = SimpleNamespace(type="privateuseone")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: here)
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 0)
    assert available_devices() == ("cpu", "privateuseone")
    assert open_device("privateuseone") == torch.device("privateuseone", 0)


def test_only_apple_gpus_can_fall_back_on_the_cpu() -> None:
    told = {name: devices.fallback_environment(name, allow=False) for name in KINDS}
    assert told == {"cpu": {}, "cuda": {}, "mps": {"PYTORCH_ENABLE_MPS_FALLBACK": "0"}, "xpu": {}}


@pytest.mark.gpu
def test_an_accelerator_counts_memory_and_gives_it_back() -> None:
    gpu = open_device(available_devices()[1])
    reset_device_state(gpu, 0)
    before = memory_now(gpu).allocated_bytes or 0
    block = torch.ones(2**24, device=gpu)
    synchronize(gpu)
    held = memory_now(gpu).allocated_bytes or 0
    assert held - before >= 2**26
    del block
    reset_device_state(gpu, 0)
    assert (memory_now(gpu).allocated_bytes or 0) <= before
    assert describe(gpu.type).device_name
