"""A precision counts as supported only if computing in it really gives the right numbers in that type."""

from __future__ import annotations

import pytest
import torch

from sweeps.measure.device import precisions as support
from sweeps.measure.device.precisions import (
    float32_products,
    probe_lowered,
    probe_tf32,
    product_errors,
    reduced_float32,
)
from workloads.precision import PRECISIONS, autocast, compute_dtype, held_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize("precision", [name for name, row in PRECISIONS.items() if row.lowered])
def test_this_cpus_lowered_types_are_judged_by_a_real_convolution_and_product(precision: str) -> None:
    dtype, held = compute_dtype(precision), held_dtype(precision)
    reason = probe_lowered(CPU, precision)
    if reason is None:
        with autocast(CPU, precision):
            assert (torch.ones(2, 2, dtype=held) @ torch.ones(2, 2, dtype=held)).dtype == dtype
    else:
        assert reason.startswith("cpu lacks") or "does not compute" in reason


def replace_conv2d(monkeypatch: pytest.MonkeyPatch, change) -> None:
    original = torch.nn.functional.conv2d
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *a, **k: change(original(*a, **k)))


def test_a_device_that_computes_wrongly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    if probe_lowered(CPU, "bf16") is not None:
        pytest.skip("not on this processor")
    replace_conv2d(monkeypatch, lambda out: out + 1)
    reason = probe_lowered(CPU, "bf16")
    assert reason is not None
    assert reason.startswith("cpu computes wrongly in bf16: 3888 became 40")


def test_one_wrong_value_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    if probe_lowered(CPU, "bf16") is not None:
        pytest.skip("not on this processor")
    original = torch.Tensor.__matmul__

    def last_value_wrong(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        out = original(a, b)
        out[0, -1] = float("nan")
        return out

    monkeypatch.setattr(torch.Tensor, "__matmul__", last_value_wrong)
    assert "computes wrongly" in (probe_lowered(CPU, "bf16") or "")


def test_a_device_that_stays_in_another_type_does_not_compute_in_the_one_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(support, "compute_dtype", lambda _: torch.float16)
    replace_conv2d(monkeypatch, lambda out: out.float())
    original = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: original(a, b).float())
    assert probe_lowered(CPU, "bf16") == "cpu does not compute in bf16: the result is torch.float32"


@pytest.mark.parametrize("kind", [RuntimeError, NotImplementedError, TypeError])
def test_what_the_device_raises_is_the_reason_on_one_short_line(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    def refuse(*_: object) -> None:
        raise kind("slow_conv2d is not implemented for 'BFloat16'" + "!" * 300 + "\nand a stack")

    monkeypatch.setattr(torch.nn.functional, "conv2d", refuse)
    reason = probe_lowered(CPU, "bf16")
    assert reason is not None
    assert reason.startswith("cpu lacks bf16: slow_conv2d is not implemented for 'BFloat16'")
    assert "\n" not in reason
    assert len(reason) < 320


def test_tf32_is_known_by_its_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.Tensor.__matmul__

    def ten_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """What tf32 hardware does: operands of float32 lose all but ten bits of their fraction."""
        if a.dtype != torch.float32 or torch.get_float32_matmul_precision() == "highest":
            return original(a, b)
        cut = [(t.view(torch.int32) & ~0x1FFF).view(torch.float32) for t in (a, b)]
        return original(*cut)

    monkeypatch.setattr(torch.Tensor, "__matmul__", ten_bits)
    assert probe_tf32(CPU) is None
    monkeypatch.setattr(torch.Tensor, "__matmul__", original)
    with float32_products("fp32"):
        exact = torch.rand(64, 64)
        assert torch.equal(exact @ exact, original(exact, exact))


def _ten_bits(t: torch.Tensor) -> torch.Tensor:
    return (t.view(torch.int32) & ~0x1FFF).view(torch.float32) if t.dtype == torch.float32 else t


def test_this_cpu_computes_float32_in_float32() -> None:
    assert all(off < 1e-6 for off in product_errors(CPU, "fp32").values())
    assert reduced_float32(CPU) is None


def test_a_device_that_keeps_ten_bits_though_asked_for_the_highest_precision_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    product, convolution = torch.Tensor.__matmul__, torch.nn.functional.conv2d
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda a, b: convolution(_ten_bits(a), _ten_bits(b)))
    told = reduced_float32.__wrapped__(CPU)
    assert told.startswith("fp32 is computed with fewer bits here: a convolution is off by ")
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: product(_ten_bits(a), _ten_bits(b)))
    assert " a matrix product is off by " in reduced_float32.__wrapped__(CPU)
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: product(a, b) * torch.nan)
    assert "a matrix product is off by nan" in reduced_float32.__wrapped__(CPU)


def test_convolutions_are_computed_as_a_precision_says_and_put_back() -> None:
    before = torch.backends.cudnn.allow_tf32
    with float32_products("tf32"):
        assert torch.backends.cudnn.allow_tf32
    with float32_products("fp32"):
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before


def test_hardware_that_ignores_the_permission_has_no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: original(a.double(), b.double()).to(a.dtype))
    reason = probe_tf32(CPU)
    assert reason is not None
    assert "this cpu stayed in fp32" in reason
