"""Published weights, as torchvision loads them: from the cache of torch.hub, which is filled here."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image

from tests.workloads.conftest import prepared
from workloads.models.loading import build_model

FILES = {"inception_v3": "inception_v3_google-0cc3c7bd.pth", "googlenet": "googlenet-1378be20.pth"}


@pytest.fixture(params=sorted(FILES))
def published(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network whose published weights hold auxiliary heads, of whatever values, where a download would put them."""
    name: str = request.param
    network = torchvision.models.get_model_builder(name)(weights=None, aux_logits=True, init_weights=False)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(network.state_dict(), folder / FILES[name])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return name


def test_a_network_with_published_auxiliary_heads_answers_and_trains_without_them(
    published: str, tmp_path: Path
) -> None:
    loaded = build_model(published)
    assert loaded.weights == "imagenet"
    assert not [name for name in loaded.module.state_dict() if name.startswith(("aux", "AuxLogits"))]
    images = torch.rand(2, 3, 96, 96)
    assert loaded.module.train()(images).shape == loaded.module.eval()(images).shape == (2, 1000)
    for colour in ("red", "blue"):  # few, as such a network takes long for an image
        (tmp_path / "images" / colour).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (32, 32), colour).save(tmp_path / "images" / colour / f"{i}.png")
    workload = prepared("finetune", model=published, batch_size=2, image_size=96, data=tmp_path / "images")
    workload.step()
    assert 0 <= workload.end_round(0)["accuracy"] <= 1
    workload.teardown()


def test_a_vision_transformers_input_is_of_its_own_size() -> None:
    torch.manual_seed(0)
    assert build_model("vit_b_16", pretrained=False).input_size == 224
