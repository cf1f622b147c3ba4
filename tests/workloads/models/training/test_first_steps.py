"""A training's first steps are compared with float64's: each precision's rounding is explained, mistakes are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from sweeps.measure.agreement import compare_training, wrong_training
from tests.workloads.conftest import prepared
from workloads.base import CellContext
from workloads.models.training.first_steps import N_STEPS, FirstSteps, Training, compared, draws_random_numbers
from workloads.precision import PRECISIONS, compute_dtype


def network(dropped: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1),
        nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(dropped), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 5),
    ).train()  # fmt: skip


def steps(
    precision: str, *, computes: str | None = None, spoil: Callable[[nn.Module], object] | None = None,
    compiled: bool = False, dropped: float = 0.0, batch_size: int = 8,
) -> FirstSteps:  # fmt: skip
    module = network(dropped)
    forward = module
    if computes is not None:
        forward = torch.autocast("cpu", dtype=compute_dtype(computes))(module)
    if spoil is not None:
        forward = network()
        spoil(forward)
    context = CellContext(
        device=torch.device("cpu"), batch_size=batch_size, precision=precision,
        compile="default" if compiled else "none",
    )  # fmt: skip
    training = Training(
        module=module,
        forward=forward,
        trained=list((module if computes else forward).parameters()),
        context=context,
        rate=1e-3,
    )
    generator = torch.Generator().manual_seed(1)
    return compared(training, torch.randn(8, 3, 16, 16, generator=generator), torch.arange(8) % 5)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_rounding_is_explained_and_seen(precision: str) -> None:
    found = steps(precision)
    assert found.own is not None
    assert len(found.own.losses) == N_STEPS
    columns = compare_training(found, precision)
    assert wrong_training(columns, precision) is None, columns
    assert (columns["reference"], columns["n_compared"], columns["n_nonfinite"]) == ("cpu fp64", 8, 0)
    assert columns["gradient_cosine"] > 0.98
    assert 0 < columns["rms_rel_diff"] < 0.2
    assert 0 <= columns["loss_rel_diff"] < PRECISIONS[precision].tolerance


@pytest.mark.parametrize(("precision", "computes"), [("fp32", "fp16"), ("fp32", "bf16")])
def test_what_rounding_in_its_precision_does_not_explain_is_wrong(precision: str, computes: str) -> None:
    columns = compare_training(steps(precision, computes=computes), precision)
    told = wrong_training(columns, precision)
    assert told is not None
    assert told.startswith("the first gradient is off by")


def without_an_activation(module: nn.Module) -> None:
    module[5] = nn.Identity()


def without_padding(module: nn.Module) -> None:
    module[3].padding = (0, 0)


@pytest.mark.parametrize("mistake", [without_an_activation, without_padding])
def test_a_mistake_is_wrong(mistake: Callable[[nn.Module], object]) -> None:
    columns = compare_training(steps("bf16", spoil=mistake), "bf16")
    assert wrong_training(columns, "bf16") is not None, columns


def test_nothing_is_dropped_at_random_but_where_a_compiled_step_would() -> None:
    inputs = torch.randn(2, 3, 16, 16)
    assert draws_random_numbers(network(0.5), inputs)
    assert not draws_random_numbers(network(0.5).eval(), inputs)
    assert wrong_training(compare_training(steps("fp32", dropped=0.5), "fp32"), "fp32") is None
    columns = compare_training(steps("fp32", dropped=0.5, compiled=True), "fp32")
    assert list(columns) == ["agreement_reason"]
    assert "random numbers" in columns["agreement_reason"]
    assert wrong_training(columns, "fp32") is None


def test_a_compiled_step_has_its_own_batch_size_filled_evenly() -> None:
    found = steps("fp32", compiled=True, batch_size=12)
    assert found.n_items == 6
    assert wrong_training(compare_training(found, "fp32"), "fp32") is None


@pytest.mark.parametrize(("tune", "model"), [("full", None), ("head", None), ("head", "efficientnet_lite0")])
def test_a_finetuning_is_compared_and_goes_back_to_where_it_begins(
    tune: str, model: str | None, small_classifier: str
) -> None:
    workload = prepared("finetune", model=model or small_classifier, batch_size=4, image_size=32, tune=(tune,))
    before = {name: tensor.clone() for name, tensor in workload._module.state_dict().items()}  # type: ignore[attr-defined]
    columns = compare_training(workload.first_steps(), "fp32")  # type: ignore[attr-defined]
    assert wrong_training(columns, "fp32") is None, columns
    assert columns["gradient_cosine"] > 0.9999
    assert columns["rms_rel_diff"] > 0
    for name, tensor in workload._module.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(tensor, before[name]), name
    workload.step()
    workload.teardown()
