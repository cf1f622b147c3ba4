"""The head of a classifier: linear or a convolution, found and made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.workloads.conftest import prepared
from workloads.base import BadInputError
from workloads.models.checks.preflight import on_meta
from workloads.models.heads import head_layers, last_layer, n_outputs, with_classes
from workloads.models.loading import build_model
from workloads.models.origins.state_files import fitted


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("squeezenet1_1", "classifier.1", nn.Conv2d), ("resnet18", "fc", nn.Linear), ("vit_b_16", "heads.head", nn.Linear),
        ("inception_v3", "fc", nn.Linear), ("googlenet", "fc", nn.Linear), ("efficientnet_lite0", "_fc", nn.Linear),
        ("mobilenet_v3_small", "classifier.3", nn.Linear), ("maxvit_t", "classifier.5", nn.Linear),
    ],
)  # fmt: skip
def test_a_networks_head_is_its_last_layer(name: str, head: str, kind: type[nn.Module]) -> None:
    found, layer = last_layer(on_meta(name, None).module)
    assert (found, n_outputs(layer)) == (head, 1000)
    assert isinstance(layer, kind)


def test_what_the_model_calls_its_classifier_is_its_head() -> None:
    class Told(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.later = nn.Conv2d(4, 7, 1), nn.Linear(3, 3)

        def get_classifier(self) -> nn.Module:
            return self.fc

    assert last_layer(Told())[0] == "fc"


def test_a_network_without_such_a_layer_is_refused() -> None:
    with pytest.raises(BadInputError, match="ReLU has no linear or convolutional layer"):
        last_layer(nn.ReLU())


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_a_convolution_of_any_dimension_is_a_head_and_keeps_what_it_is_made_of(kind: Any) -> None:
    more = {"groups": 4, "dilation": 2, "padding_mode": "replicate", "padding": 1}
    made: Any = with_classes(nn.Sequential(kind(8, 12, 3, **more)), 6)[0]  # type: ignore[index]
    assert isinstance(made, kind)
    assert (made.out_channels, made.groups, made.padding_mode) == (6, 2, "replicate")
    assert set(made.dilation) == {2}


class Distilled(nn.Module):
    """Answers with the mean of two heads, as networks do that were distilled."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.head_dist = nn.Linear(12, 7), nn.Linear(7, 7), nn.Linear(7, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x.flatten(1))
        return (self.head(x) + self.head_dist(x)) / 2


def test_all_heads_of_a_network_that_averages_them_are_made_anew_and_loaded(tmp_path: Path) -> None:
    assert list(head_layers(Distilled())) == ["head", "head_dist"]
    assert with_classes(Distilled(), 3)(torch.ones(2, 3, 2, 2)).shape == (2, 3)
    found = fitted(Distilled(), with_classes(Distilled(), 3).state_dict(), "distilled", tmp_path)
    assert (found.n_classes, found.has_head, set(found.state)) == (3, False, {"body.weight", "body.bias"})


def test_a_network_of_timms_without_a_head_is_given_one() -> None:
    timm = pytest.importorskip("timm")
    bare = timm.create_model("test_resnet", num_classes=0)
    with pytest.raises(BadInputError, match="ResNet is built without a head"):
        last_layer(bare)
    assert with_classes(bare, 4)(torch.ones(2, 3, 64, 64)).shape == (2, 4)
    assert list(head_layers(bare)) == ["fc"]


def test_a_new_head_is_made_like_the_old_one() -> None:
    model = with_classes(nn.Sequential(nn.Flatten(1), nn.Linear(12, 9, bias=False)), 3)
    assert (model(torch.ones(2, 3, 2, 2)).shape, model[1].bias) == ((2, 3), None)
    convolution = nn.Sequential(nn.Conv2d(3, 9, 3, stride=2, padding=1))
    assert with_classes(convolution, 4)(torch.ones(2, 3, 8, 8)).shape == (2, 4, 4, 4)
    own = convolution[0]
    assert with_classes(convolution, 4)[0] is own, "as many classes as there are"


@pytest.mark.parametrize("tune", ["head", "full"])
def test_a_network_that_ends_in_a_convolution_is_finetuned(tune: str) -> None:
    workload = prepared("finetune", model="squeezenet1_1", batch_size=4, image_size=32, tune=(tune,))
    module = workload._module  # type: ignore[attr-defined]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    for _ in range(2):  # the first step's learning rate is a fraction
        workload.step()
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert ({"classifier.1.weight", "classifier.1.bias"} == changed) == (tune == "head")
    assert changed >= {"classifier.1.weight", "classifier.1.bias"}
    workload.teardown()


def test_the_batch_of_a_network_with_ten_classes_has_ten_scores() -> None:
    assert build_model("squeezenet1_1", pretrained=False, num_classes=10).module(torch.ones(2, 3, 64, 64)).shape == (
        2,
        10,
    )
