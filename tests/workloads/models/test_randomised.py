"""Random weights give answers that depend on the input, are in range, and the same each time."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

from workloads.models import randomised
from workloads.models.origins.loaded import LoadedModel
from workloads.models.randomised import settle

SIZE = 64


def transformer() -> nn.Module:
    """Its head is of zeros, as torchvision has it."""
    return torchvision.models.VisionTransformer(SIZE, 16, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64)


def residual() -> nn.Module:
    """The last scale of each branch is zero, and it is deep."""
    return torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], zero_init_residual=True)


def scaled_branches() -> nn.Module:
    """Its branches are scaled by 1e-6."""
    kinds = torchvision.models.convnext
    return kinds.ConvNeXt([kinds.CNBlockConfig(32, 64, 2), kinds.CNBlockConfig(64, None, 2)])


NETWORKS: list[Callable[[], nn.Module]] = [transformer, residual, scaled_branches, torchvision.models.squeezenet1_1]


def built(make: Callable[[], nn.Module]) -> LoadedModel:
    torch.manual_seed(0)
    return LoadedModel(module=make().eval(), weights="random", input_size=SIZE)


def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randn(8, 3, 4, 4, generator=generator)
    return nn.functional.interpolate(coarse, SIZE, mode="bilinear")


@pytest.mark.parametrize("make", NETWORKS)
def test_answers_depend_on_the_input_and_are_in_range(make: Callable[[], nn.Module]) -> None:
    loaded = built(make)
    settle(loaded, make.__name__)
    assert not any(layer.training for layer in loaded.module.modules())
    with torch.inference_mode():
        answers = loaded.module(images())
    assert answers.isfinite().all()
    assert answers.argmax(1).unique().numel() >= 3
    assert 0.05 < answers.std(0).mean() < 20


@pytest.mark.parametrize("make", NETWORKS[:2])
def test_they_are_the_same_each_time_also_from_the_disk(make, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("ACCELSWEEP_CACHE_DIR", str(tmp_path))
    first, again = built(make), built(make)
    settle(first, "a")
    monkeypatch.setattr(randomised, "_settled", lambda *_: pytest.fail("it is kept"))
    settle(again, "a")
    for name, tensor in first.module.state_dict().items():
        assert torch.equal(tensor, again.module.state_dict()[name]), name


def test_a_network_as_the_last_one_is_settled_as_that_was_without_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    alike = [dataclasses.replace(built(NETWORKS[0]), drawn="the same") for _ in range(3)]
    settle(alike[0], "a")
    expected = copy.deepcopy(alike[0].module.state_dict())
    for norm in alike[0].module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.add_(1.0)  # its training changes nothing of the next one
    monkeypatch.setattr(randomised, "kept", lambda *_: pytest.fail("it is known"))
    settle(alike[1], "a")
    for name, tensor in alike[1].module.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    for other in (dataclasses.replace(alike[2], drawn="another"), dataclasses.replace(alike[2], std=(1.0, 1.0, 1.0))):
        with pytest.raises(pytest.fail.Exception):
            settle(other, "a")


def test_every_part_of_it_is_seen_in_the_answers() -> None:
    loaded = built(scaled_branches)
    settle(loaded, "seen")
    changed = copy.deepcopy(loaded.module)
    block = changed.features[1][0].block
    nn.init.zeros_(block[3].weight)
    with torch.inference_mode():
        before, after = loaded.module(images()), changed(images())
    assert (before - after).abs().max() > 0.01 * before.abs().max()
