"""The head of a classifier: linear or a convolution, found and made anew."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.workloads.conftest import prepared
from workloads.base import BadInputError
from workloads.models.checks.preflight import on_meta
from workloads.models.heads import last_layer, n_outputs, with_classes
from workloads.models.loading import build_model


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
