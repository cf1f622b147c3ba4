"""What is known of a model before the start: image sizes that it takes, heads, names."""

from __future__ import annotations

import sys

import pytest

from workloads.base import BadInputError
from workloads.finetune import Finetune
from workloads.finetune_options import FinetuneOptions
from workloads.models.checks.preflight import check_trainable
from workloads.models.sources import check_model


@pytest.mark.parametrize(
    ("name", "refused", "proposed"),
    [("vit_b_32", 48, 224), ("maxvit_t", 64, 224), ("alexnet", 48, 64), ("inception_v3", 48, 96), ("swin_t", 48, None),
     ("squeezenet1_1", 48, None), ("resnet18", 32, None)],
)  # fmt: skip
def test_an_image_size_that_a_model_does_not_take_is_refused_with_one_that_it_does(
    name: str, refused: int, proposed: int | None
) -> None:
    if proposed is None:
        check_trainable(name, refused, 10)
        return
    with pytest.raises(
        BadInputError, match=rf"^--image-size: {refused} does not work with .*; --image-size {proposed} does$"
    ) as said:
        Finetune.check(FinetuneOptions(image_size=refused), (name,))
    assert "\n" not in str(said.value)
    check_trainable(name, proposed, 10)


def test_the_default_model_is_known_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    check_trainable("efficientnet_lite0", 48, 10)


def test_timms_models_are_known_by_name_and_their_sizes_checked() -> None:
    pytest.importorskip("timm")
    check_trainable("timm/resnetv2_50", 48, 10)
    check_model("timm/resnet50.a1_in1k")
    for name, near in (("timm/resnet51", "timm/resnet50"), ("timm/resnet50.no_such", r"timm/resnet50\.")):
        with pytest.raises(BadInputError, match=f"--model: '{name}' is not known to timm; similar names: .*{near}"):
            check_model(name)
    with pytest.raises(
        BadInputError, match=r"48 does not work with timm/vit_tiny_patch16_224 .*; --image-size 224 does"
    ):
        check_trainable("timm/vit_tiny_patch16_224", 48, 10)
