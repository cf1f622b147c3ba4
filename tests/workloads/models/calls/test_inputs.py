"""Arguments of networks in every structure, of some items or of others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from workloads.models.calls.inputs import Inputs, Slot, lay_out, put_in


def called(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def test_a_tensor_is_the_only_argument() -> None:
    x = torch.rand(5, 2)
    inputs = Inputs.of(x)
    assert len(inputs) == 5
    assert inputs.call(lambda given: given is x)
    assert Inputs.of(inputs) is inputs


def test_every_structure_is_filled_with_the_items_asked_for() -> None:
    x, mask, table = torch.rand(5, 2), torch.ones(5, 3, dtype=torch.bool), torch.rand(7)
    inputs = Inputs(
        tensors=(x, mask), args=({"image": Slot(number=0)}, [table, 3]), kwargs={"mask": Slot(number=1), "scale": 0.5}
    )
    args, kwargs = inputs[:2].call(called)
    assert torch.equal(args[0]["image"], x[:2])
    assert args[1][0] is table
    assert torch.equal(kwargs["mask"], mask[:2])
    assert kwargs["scale"] == 0.5
    assert [len(part) for part in inputs.split(2)] == [2, 2, 1]
    assert torch.equal(inputs[torch.tensor([4, 4])].tensors[0], x[[4, 4]])


def test_only_floating_point_takes_another_type() -> None:
    inputs = Inputs(
        tensors=(torch.rand(2, 2), torch.arange(2)), args=(Slot(number=0), Slot(number=1), torch.rand(3), None)
    )
    args, _ = inputs.to("cpu", torch.float64).call(called)
    assert [getattr(a, "dtype", None) for a in args] == [torch.float64, torch.int64, torch.float64, None]


def test_a_detector_gets_a_list_with_an_image_for_each_item() -> None:
    images = torch.rand(3, 3, 8, 8)
    (given,), _ = Inputs(tensors=(images,), args=(Slot(number=0, is_list=True),)).call(called)
    assert isinstance(given, list)
    assert [tuple(image.shape) for image in given] == [(3, 8, 8)] * 3


def test_images_and_volumes_are_laid_out_and_nothing_else_is() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3), nn.Linear(4, 2))
    lay_out(module, "channels_last")
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert module[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    inputs = Inputs(tensors=(torch.rand(2, 3, 4, 4), torch.rand(2, 3))).laid_out("channels_last")
    assert inputs.tensors[0].is_contiguous(memory_format=torch.channels_last)
    assert inputs.tensors[1].is_contiguous()
    lay_out(module, "contiguous")
    assert all(parameter.is_contiguous() for parameter in module.parameters())


def test_a_network_that_asks_which_version_its_weights_are_of_takes_some_or_all_of_them() -> None:
    module = torchvision.models.MNASNet(0.1)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    put_in(module, {"classifier.1.bias": torch.ones(1000)})
    assert bool((module.state_dict()["classifier.1.bias"] == 1).all())
    put_in(module, before, is_whole=True)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    with pytest.raises(RuntimeError, match=r"classifier\.1\.bias"):
        put_in(module, {name: tensor for name, tensor in before.items() if name != "classifier.1.bias"}, is_whole=True)
