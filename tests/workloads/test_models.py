from __future__ import annotations

from pathlib import Path

import pytest
import torch

from workloads.base import BadInputError
from workloads.data import load_photographs, photograph_batch, to_model_input
from workloads.models import build_model, check_model, last_linear, model_names, static_bytes

PALACE, DAISY = 698, 985
"""ImageNet classes: china.jpg shows a hall of the Summer Palace, flower.jpg a daisy."""


def test_the_embedded_weights_name_the_photographs() -> None:
    loaded = build_model("efficientnet_lite0")
    assert loaded.weights == "imagenet"
    batch = photograph_batch(load_photographs(), 2, loaded.input_size, seed=0)
    with torch.inference_mode():
        best = loaded.module(to_model_input(batch, loaded.mean, loaded.std)).argmax(1).tolist()
    assert best == [PALACE, DAISY]


def test_random_weights_are_said_to_be_random() -> None:
    loaded = build_model("resnet18", pretrained=False, num_classes=7)
    assert loaded.weights == "random"
    assert loaded.module(torch.zeros(1, 3, 64, 64)).shape == (1, 7)
    assert static_bytes(loaded.module) > 4 * 11_000_000


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(BadInputError, match="resnet50"):
        check_model("resnet51")
    assert "vit_b_16" in model_names()


def test_the_users_weights_are_loaded_without_running_code(tmp_path: Path) -> None:
    module = build_model("resnet18", pretrained=False).module
    torch.save(module.state_dict(), tmp_path / "mine.pt")
    loaded = build_model("resnet18", weights_file=tmp_path / "mine.pt")
    assert loaded.weights == "mine.pt"
    assert torch.equal(last_linear(loaded.module)[1].weight, last_linear(module)[1].weight)
    torch.save(module, tmp_path / "code.pt")  # a pickled object could run anything
    with pytest.raises(BadInputError, match=r"'.*code\.pt' is no state dictionary"):
        build_model("resnet18", weights_file=tmp_path / "code.pt")
