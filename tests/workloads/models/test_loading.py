from __future__ import annotations

from pathlib import Path

import pytest
import torch

from workloads.base import BadInputError
from workloads.images.batches import to_model_input
from workloads.images.photographs import load_photographs, photograph_batch
from workloads.models import loading as models
from workloads.models import sources
from workloads.models.heads import last_layer
from workloads.models.loading import build_model, static_bytes
from workloads.models.origins.loaded import LoadedModel
from workloads.models.origins.published import with_weights_or_without
from workloads.models.sources import Source, check_model, model_names

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


def test_torchvisions_files_name_the_classifiers_that_it_has() -> None:
    assert sources._read_names("*.py") == sources._ask_for_classifiers()
    assert sources._read_names("*/*.py") == tuple(sorted(sources.zoo.names()))


def test_the_users_weights_are_loaded_without_running_code(tmp_path: Path) -> None:
    module = build_model("resnet18", pretrained=False).module
    torch.save(module.state_dict(), tmp_path / "mine.pt")
    loaded = build_model("resnet18", weights_file=tmp_path / "mine.pt")
    assert loaded.weights == "mine.pt"
    assert torch.equal(last_layer(loaded.module)[1].weight, last_layer(module)[1].weight)
    torch.save(module, tmp_path / "code.pt")  # a pickled object could run anything
    with pytest.raises(BadInputError, match=r"'.*code\.pt' is not a state dictionary"):
        build_model("resnet18", weights_file=tmp_path / "code.pt")


def test_each_model_is_fresh_though_the_last_one_is_kept() -> None:
    first = build_model("resnet18", pretrained=False, num_classes=3)
    state = {name: value.clone() for name, value in first.module.state_dict().items()}
    torch.manual_seed(7)
    models._kept.clear()
    one = build_model("resnet18", pretrained=False, num_classes=3)
    drawn = torch.rand(3)
    weights = {name: value.clone() for name, value in one.module.state_dict().items()}
    one.module.train()
    one.module(torch.rand(2, 3, 32, 32)).sum().backward()
    torch.optim.SGD(one.module.parameters(), lr=1.0).step()
    torch.manual_seed(7)
    two = build_model("resnet18", pretrained=False, num_classes=3)
    assert len(models._kept) == 1
    assert torch.equal(torch.rand(3), drawn), "random numbers go on as after a model that was built"
    assert not two.module.training
    for name, value in two.module.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert not any(p.grad is not None for p in two.module.parameters())
    three = build_model("resnet18", pretrained=False, num_classes=3)  # other random numbers: other weights
    assert not torch.equal(three.module.conv1.weight, two.module.conv1.weight)
    assert not torch.equal(state["conv1.weight"], weights["conv1.weight"])


def test_the_users_weights_are_read_again_once_their_file_is_another(tmp_path: Path) -> None:
    module = build_model("resnet18", pretrained=False).module
    file = tmp_path / "mine.pt"
    torch.save(module.state_dict(), file)
    torch.manual_seed(7)
    one = build_model("resnet18", weights_file=file)
    with torch.no_grad():
        one.module.conv1.weight.zero_()
    torch.manual_seed(7)
    two = build_model("resnet18", weights_file=file)
    assert len(models._kept) == 1
    assert two.weights == "mine.pt"
    assert torch.equal(two.module.conv1.weight, module.conv1.weight)
    torch.save(one.module.state_dict(), file)
    torch.manual_seed(7)
    assert not build_model("resnet18", weights_file=file).module.conv1.weight.any()
    file.unlink()
    torch.manual_seed(7)
    with pytest.raises(BadInputError, match=r"--weights: '.*mine\.pt' is not a file"):
        build_model("resnet18", weights_file=file)


def test_large_models_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    models._kept.clear()
    monkeypatch.setattr(models, "MAX_KEPT_BYTES", 1000)
    build_model("resnet18", pretrained=False)
    assert not models._kept


def test_a_source_is_one_entry_and_the_first_that_has_a_name_builds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(name: str, pretrained: bool, num_classes: int | None) -> LoadedModel:
        return LoadedModel(module=torch.nn.Linear(2, num_classes or 3), weights=f"{name}'s {pretrained}")

    mine = Source(prefix="mine/", names=lambda: ("resnet18",), build=build)
    monkeypatch.setattr(sources, "SOURCES", (mine, *sources.SOURCES))
    assert build_model("mine/any", num_classes=5).weights == "mine/any's True"
    assert build_model("resnet18", pretrained=False).weights == "resnet18's False"
    assert model_names()[0] == "resnet18"
    with pytest.raises(BadInputError, match=r"\(or mine/NAME, timm/NAME, hf/NAME, path/to/net.py:FUNCTION"):
        check_model("nothing")


def test_a_source_whose_package_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = Source(prefix="away/", package="no_such_package", build=sources.SOURCES[0].build)
    monkeypatch.setattr(sources, "SOURCES", (lacking,))
    with pytest.raises(BadInputError, match="'away/m' needs the package no_such_package, which is not installed"):
        check_model("away/m")


def test_where_weights_cannot_be_had_they_are_random_and_the_row_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def make(is_trained: bool) -> torch.nn.Module:
        if is_trained:
            raise OSError("no route to host")
        return torch.nn.Linear(1, 1)

    _, weights = with_weights_or_without("a model", True, make)
    assert weights == "random"
    assert "no weights for a model are available (OSError: no route to host)" in caplog.text
    assert with_weights_or_without("a model", False, make)[1] == "random"
