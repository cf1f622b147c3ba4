"""Batch normalisation refuses what PyTorch refuses, asked before the first step."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from workloads.base import BatchTooSmallError, UnsupportedError
from workloads.models.training.batch_norm import check_batch_norm


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3, 2, 1), nn.BatchNorm2d(5))


@pytest.mark.parametrize(
    ("shape", "is_refused"),
    [((1, 3, 4, 4), True), ((2, 3, 4, 4), False), ((1, 3, 8, 4), False), ((1, 3, 5, 5), False), ((1, 3, 1, 1), True)],
)
def test_it_refuses_exactly_what_a_training_step_would(shape: tuple[int, ...], is_refused: bool) -> None:
    inputs = torch.rand(shape)
    with pytest.raises(ValueError, match="more than 1 value per channel") if is_refused else nullcontext():
        network().train()(inputs)
    with pytest.raises(BatchTooSmallError, match="one value per channel") if is_refused else nullcontext():
        check_batch_norm(network(), inputs)


def test_it_names_the_first_layer_and_leaves_statistics_and_hooks_alone() -> None:
    module = network()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(UnsupportedError, match=r"--batch-size 2, an --image-size over 4 .*batch normalisation \(3\)"):
        check_batch_norm(module, torch.rand(1, 3, 4, 4))
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not any(layer._forward_pre_hooks for layer in module.modules())
