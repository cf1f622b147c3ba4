"""Ceilings of a device whose speed is known: real products and copies, timed by a clock that counts their work."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sweeps.measure import ceilings
from sweeps.measure.ceilings import measure_copy_ceiling, measure_flop_ceiling
from sweeps.measure.device.device import unsupported_reason
from sweeps.measure.step_work import ByteCounter

CPU = torch.device("cpu")


class KnownDevice:
    """Stands in for the timer: does the work, and says how long it takes at the speeds it was given.

    Attributes:
        done: Size and kind of each product, bytes of each copy.
    """

    flop_per_s, bytes_per_s, transposed_gain = 1e9, 8e9, 1.0
    done: list[int]
    settings: set[str]

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def time(self, step) -> float:
        with FlopCounterMode(display=False) as flops, ByteCounter() as moved:
            step()
        type(self).settings.add(torch.get_float32_matmul_precision())
        total = flops.get_total_flops()
        type(self).done.append(total or moved.n_bytes)
        return total / self.flop_per_s if total else moved.n_bytes / self.bytes_per_s


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> type[KnownDevice]:
    kind = type("Known", (KnownDevice,), {"done": [], "settings": set()})
    monkeypatch.setattr(ceilings, "Timer", kind)
    monkeypatch.setattr(ceilings, "REPEAT_S", 0.0)
    return kind


def test_the_flop_ceiling_is_the_devices_own_speed(known: type[KnownDevice]) -> None:
    assert measure_flop_ceiling(CPU, "fp32") == pytest.approx(1e9)
    known.flop_per_s = 2.5e10
    assert measure_flop_ceiling(CPU, "fp32") == pytest.approx(2.5e10)


def test_the_best_size_makes_the_ceiling_and_not_the_last(known: type[KnownDevice]) -> None:
    original = known.time

    def slower_when_large(self: KnownDevice, step) -> float:
        seconds = original(self, step)
        return seconds * (5 if known.done[-1] > 2 * 300**3 else 1)

    known.time = slower_when_large  # type: ignore[method-assign]
    assert measure_flop_ceiling(CPU, "fp32") == pytest.approx(1e9)


def test_products_grow_only_as_far_as_time_allows(known: type[KnownDevice]) -> None:
    measure_flop_ceiling(CPU, "fp32")
    assert max(known.done) == 2 * ceilings.LEAST_SIZE**3, "at 1 GFLOP/s the next would take seconds"
    known.flop_per_s = 5e10
    measure_flop_ceiling(CPU, "fp32")
    n = round((max(known.done) / 2) ** (1 / 3))
    assert n >= 1024
    assert ceilings.MIN_REPEATS * 2 * n**3 / 5e10 <= ceilings.MAX_PRODUCTS_S


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_narrow_products_are_computed_in_their_type(known: type[KnownDevice], precision: str) -> None:
    if unsupported_reason(CPU, precision) is not None:
        pytest.skip("not on this processor")
    seen: set[torch.dtype] = set()
    original = torch.mm

    def mm(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        seen.update((a.dtype, b.dtype, out.dtype))
        return original(a, b, out=out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "mm", mm)
        assert measure_flop_ceiling(CPU, precision) == pytest.approx(1e9)
    assert seen == {{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]}


def test_a_precision_that_the_device_lacks_has_no_ceiling(
    known: type[KnownDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceilings, "unsupported_reason", lambda device, precision: "lacks it")
    assert measure_flop_ceiling(CPU, "fp16") is None
    assert known.done == []


def test_float32_is_strict_and_tf32_is_not_and_the_setting_is_restored(
    known: type[KnownDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceilings, "unsupported_reason", lambda device, precision: None)
    torch.set_float32_matmul_precision("medium")
    try:
        measure_flop_ceiling(CPU, "fp32")
        assert known.settings == {"highest"}
        known.settings.clear()
        measure_flop_ceiling(CPU, "tf32")
        assert known.settings == {"high"}
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_size_that_does_not_fit_ends_the_search_and_a_bug_does_not(
    known: type[KnownDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    known.flop_per_s = 1e11
    original = torch.randn

    def small_memory(*size: int, **options: object) -> torch.Tensor:
        if size[0] > 512:
            raise torch.OutOfMemoryError("Tried to allocate more than there is")
        return original(*size, **options)

    monkeypatch.setattr(torch, "randn", small_memory)
    assert measure_flop_ceiling(CPU, "fp32") == pytest.approx(1e11)

    def broken(*size: int, **options: object) -> torch.Tensor:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(torch, "randn", broken)
    with pytest.raises(RuntimeError, match="illegal"):
        measure_flop_ceiling(CPU, "fp32")


def test_the_copy_ceiling_counts_what_is_read_and_written(
    known: type[KnownDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ceilings, "_CPU_COPY_BYTES", 2**22)
    assert measure_copy_ceiling(CPU) == pytest.approx(8e9)
    assert set(known.done) == {2 * 2**22}


def test_a_full_device_is_measured_with_a_smaller_copy_and_one_without_a_megabyte_not_at_all(
    known: type[KnownDevice], monkeypatch: pytest.MonkeyPatch
) -> None:
    original, room = torch.ones, [2**20]

    def ones(n: int, **options: object) -> torch.Tensor:
        if n > room[0]:
            raise torch.OutOfMemoryError("Tried to allocate more than there is")
        return original(n, **options)

    monkeypatch.setattr(torch, "ones", ones)
    assert measure_copy_ceiling(CPU) == pytest.approx(8e9)
    assert known.done[0] <= 2 * 4 * 2**20
    room[0] = 1000
    assert measure_copy_ceiling(CPU) is None


def test_this_machines_ceilings_are_above_what_a_plain_product_and_copy_reach() -> None:
    import time

    ceiling = measure_flop_ceiling(CPU, "fp32")
    assert ceiling is not None
    a = torch.rand(256, 256)
    began = time.perf_counter()
    a @ a
    assert ceiling > 0.2 * 2 * 256**3 / (time.perf_counter() - began)
    assert 1e8 < ceiling < 1e15


@pytest.mark.gpu
def test_an_accelerator_has_more_flops_in_a_narrow_type_and_a_copy_below_its_memorys_speed() -> None:
    from sweeps.measure.device.device import available_devices, open_device

    gpu = open_device(available_devices()[1])
    wide, narrow = measure_flop_ceiling(gpu, "fp32"), measure_flop_ceiling(gpu, "bf16")
    assert wide is not None
    if narrow is not None:
        assert narrow > wide
    copy = measure_copy_ceiling(gpu)
    assert copy is not None
    assert 1e9 < copy < 1e14
