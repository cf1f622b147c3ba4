"""Rounding to ten bits is fp16's where that has its range, and a network's error from it is what autocast's is."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision
from torch import nn

from workloads.models.origins.loaded import LoadedModel
from workloads.models.randomised import settle
from workloads.models.rounding import rounded, rounded_answer


def test_values_are_rounded_to_nearest_as_fp16_does() -> None:
    values = torch.randn(10_000)
    values = values[values.abs() > 2**-14]
    assert torch.equal(rounded(values), values.half().float())
    assert torch.equal(rounded(torch.tensor([1e30, -1e-30, 0.0])) == 0, torch.tensor([False, False, True]))


def relative(outputs: torch.Tensor, exact: torch.Tensor) -> float:
    return float((outputs.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("make", [
    lambda: torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1]),
    lambda: torchvision.models.VisionTransformer(64, 16, num_layers=3, num_heads=2, hidden_dim=64, mlp_dim=128),
])  # fmt: skip
def test_what_rounding_does_is_foretold_for_each_precision(make) -> None:
    torch.manual_seed(0)
    module = make().eval()
    settle(LoadedModel(module=module, weights="random", input_size=64), "foretold")
    images = nn.functional.interpolate(torch.randn(4, 3, 8, 8), 64, mode="bilinear")
    weights = [p.clone() for p in module.parameters()]
    ten_bits = rounded_answer(module, images)
    assert all(torch.equal(p, kept) for p, kept in zip(module.parameters(), weights, strict=True))
    with torch.inference_mode():
        exact = module.double()(images.double())
        module.float()
        for dtype, bits in ((torch.float16, 10), (torch.bfloat16, 7)):
            with torch.autocast("cpu", dtype=dtype):
                found = relative(module(images), exact)
            explained = math.ldexp(relative(ten_bits, exact), 10 - bits)
            assert 1 / 2.5 < found / explained < 2.5, "the next precision's is eight times as large or small"
