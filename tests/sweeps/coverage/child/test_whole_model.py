"""Which parts of a model are compared with the CPU in float64, and when they agree."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sweeps.coverage.child.whole_model import parts_of, run_parts, run_whole, worst_of
from workloads.operations.zoo import build_untrained, model_inputs

CPU = torch.device("cpu")


class Detector(nn.Module):
    """Finds the three best of many nearly equal scores, as a detector does, and looks at them again."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True))
        self.scores, self.second = nn.Linear(8, 1), nn.Linear(8, 4)

    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        pixels = self.backbone(torch.stack(images)).flatten(2).transpose(1, 2)[0]
        best = self.scores(pixels * 1e-4)[:, 0].topk(3).indices
        return [{"boxes": self.second(pixels[best]), "labels": best}]


class SingleInside(nn.Module):
    """float32 is written in it, so that it does not run in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) @ torch.eye(4, dtype=torch.float32)


def images() -> tuple[list[torch.Tensor]]:
    return ([torch.rand(3, 24, 24)],)


def whole(model: nn.Module, inputs: tuple[Any, ...], dtype: str = "fp32", *, train: bool = False) -> dict[str, Any]:
    return run_whole(model.eval(), inputs, CPU, dtype, parts_of(model.eval(), inputs), train=train)


def test_what_chooses_nothing_is_one_part_and_a_detector_is_several() -> None:
    assert parts_of(SingleInside(), (torch.ones(2, 4),)) == [""]
    assert parts_of(Detector(), images()) == ["backbone", "scores", "second"]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("train", [False, True])
def test_a_detector_agrees_whatever_it_chooses(dtype: str, train: bool) -> None:
    model = Detector()
    answer = whole(model, images(), dtype, train=train)
    assert (answer["runs"], answer["agrees"], answer["reference"]) == (True, True, "fp64")
    assert all((p.grad is not None) == train for p in model.parameters())


def test_a_part_that_is_wrong_is_found_though_others_are_right() -> None:
    class Off(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + (0.0 if x.dtype == torch.float64 else 1.0)

    model = Detector()
    model.second = Off(8, 4)
    answer = whole(model, images())
    assert (answer["runs"], answer["agrees"]) == (True, False)


def test_inputs_are_kept_as_they_were_before_the_model_wrote_into_them() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2))
    (call,) = run_parts(model, (-torch.ones(2, 4),), [""], train=False)
    assert call.args[0].max() == -1


def test_a_model_with_float32_written_in_it_is_compared_in_float32() -> None:
    answer = whole(SingleInside(), (torch.rand(3, 4),))
    assert (answer["agrees"], answer["reference"]) == (True, "fp32")


@pytest.mark.parametrize(
    ("weight", "agrees"), [(3.0, True), (6e4, False), (float("nan"), False), (float("inf"), False)]
)
def test_what_is_not_finite_agrees_with_nothing(weight: float, agrees: bool) -> None:
    layer = nn.Linear(4, 2)
    nn.init.constant_(layer.weight, weight)
    answer = whole(layer, (torch.ones(1, 4),), "fp16")
    assert answer["runs"]
    assert answer["agrees"] is agrees
    assert (answer["max_rel_diff"] is None) is not agrees


def test_nothing_agrees_where_nothing_can_be_compared() -> None:
    assert worst_of([(torch.empty(0, 4), torch.empty(0, 4, dtype=torch.float64))]) is None
    assert worst_of([(torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=torch.int64))]) is None
    assert worst_of([(torch.tensor([1.0, torch.inf]), torch.tensor([1.0, torch.nan]).double())]) == 0.0


@pytest.mark.parametrize("name", ["raft_small", "ssdlite320_mobilenet_v3_large"])
def test_models_of_the_zoo_run_on_the_cpu_and_agree(name: str) -> None:
    torch.manual_seed(0)
    answer = whole(build_untrained(name), model_inputs(name))
    assert (answer["runs"], answer["agrees"]) == (True, True)
