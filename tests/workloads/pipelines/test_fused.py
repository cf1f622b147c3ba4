"""The fused pipelines against torchvision's composition of the same operations, eager and compiled."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.workloads.conftest import prepared
from workloads.base import Countable, UnsupportedError
from workloads.image_processing import RELATIVE_TOLERANCES
from workloads.images.batches import laid_out
from workloads.pipelines import taps, warps
from workloads.pipelines.compared import HEIGHT, WIDTH
from workloads.pipelines.composed import PIPELINES, draw_parameters
from workloads.pipelines.fused import FUSED
from workloads.pipelines.taps import Taps, resize_matrix

TIGHT = 5e-4
"""Of the largest value: what float32 makes of coordinates of some hundreds of pixels."""


OF_TWO_FORMS = ("classification", "resize", "geometric")


def photographs() -> torch.Tensor:
    return prepared("image-processing", pipeline=("resize",))._batch  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("pipeline", "form"),
    [*((name, "cpu") for name in PIPELINES), *((name, "accelerator") for name in OF_TWO_FORMS)],
)
@pytest.mark.parametrize(("seed", "memory_format"), [(0, "contiguous"), (1, "channels_last"), (2, "contiguous")])
def test_a_fused_pipeline_gives_what_torchvision_gives(
    pipeline: str, seed: int, memory_format: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "accelerator":  # the same arithmetic, which any device can do
        for module in (taps, warps):
            monkeypatch.setattr(module, "is_cpu", lambda device: False)
    batch, parameters = photographs(), draw_parameters(HEIGHT, WIDTH, seed)
    expected = PIPELINES[pipeline](batch, parameters, torch.float32)
    first, *rest = FUSED[pipeline](parameters, HEIGHT, WIDTH, torch.device("cpu"), torch.float32)
    out = first(laid_out(batch, memory_format))
    for stage in rest:
        out = stage(*out)
    assert out.shape == expected.shape
    difference = (out - expected).abs().max() / expected.abs().max()
    assert difference <= RELATIVE_TOLERANCES.get(pipeline, TIGHT)


def test_taps_read_from_a_matrix_filter_as_its_product_does() -> None:
    matrix = resize_matrix(50, 20)
    taps = Taps.of_matrix(matrix, torch.device("cpu"))
    x = torch.rand(3, 50, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(taps.along(x, 1), torch.einsum("oi,bik->bok", matrix, x))
    assert len(taps.weights) < 10, "a few taps, not the whole axis"


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["compiled", "fused"])
def test_a_compiled_cell_runs_agrees_and_knows_what_it_must_move(implementation: str) -> None:
    workload = prepared("image-processing", pipeline=("sobel",), implementation=(implementation,))
    assert isinstance(workload, Countable)
    workload.step()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    torch.testing.assert_close(outputs, reference, atol=1e-5, rtol=0)
    pixels = 2 * HEIGHT * WIDTH
    assert workload.least_bytes() == pixels * 3 + pixels * 4, "8-bit colours in, float32 gradients out"
    workload.plain_step()
    workload.teardown()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"implementation": ("fused",)}, "has no fused implementation"),
        ({"compile": "default"}, "has nothing for torch.compile to compile"),
        ({"precision": "bf16"}, "has no floating-point part for bf16 to change; use fp32"),
        ({"memory_format": "channels_last"}, "returns single images, which cannot be channels_last"),
    ],
)
def test_decoding_has_one_way_of_its_own_and_says_so_of_any_other(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(UnsupportedError, match=f"^decode: .*{told}"):
        prepared("image-processing", pipeline=("decode",), **asked)


def test_pixels_that_were_decoded_elsewhere_are_not_told_as_the_devices() -> None:
    with pytest.raises(UnsupportedError, match=r"^decode: no JPEG decoder on meta: torchvision decoded on cpu"):
        prepared("image-processing", pipeline=("decode",), implementation=("torchvision",), device="meta")
