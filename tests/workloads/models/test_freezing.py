"""Networks made ready for inference: folded, in one precision, and still right."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.workloads.conftest import prepared
from workloads.models.freezing import foldable_pairs, freeze


class Twice(nn.Module):
    """Its second normalisation follows an addition, its third shares a convolution: only the first may be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.late = nn.BatchNorm2d(4)
        self.shared, self.left, self.right = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        x = self.late(x + 1)
        both = self.shared(x)
        return self.left(both) + self.right(both)  # type: ignore[no-any-return]


def trained(module: nn.Module) -> nn.Module:
    """With statistics that are not those of a new layer."""
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            nn.init.uniform_(layer.weight, 0.5, 2)
    return module.eval()


def test_only_a_normalisation_that_alone_follows_a_convolution_is_folded() -> None:
    module, x = trained(Twice()), torch.rand(2, 3, 8, 8)
    expected = module(x)
    assert foldable_pairs(module, x) == [("conv", "norm")]
    assert freeze(module, x, "fp32") == 1
    assert isinstance(module.norm, nn.Identity)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-5), ("bf16", 0.05)])
def test_the_pretrained_network_is_folded_whole_and_agrees(precision: str, tolerance: float) -> None:
    workload = prepared("inference", model="efficientnet_lite0", precision=precision, implementation=("frozen",))
    module = workload._module  # type: ignore[attr-defined]
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())
    assert {p.dtype for p in module.parameters()} == {torch.float32 if precision == "fp32" else torch.bfloat16}
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert (outputs - reference).abs().max() <= tolerance * reference.abs().max()
    assert (outputs.argmax(1) == reference.argmax(1)).all()
    workload.step()
    workload.plain_step()  # type: ignore[attr-defined]
    assert workload.compute(workload.host_batch()).shape == (2, 1000)  # type: ignore[attr-defined]
