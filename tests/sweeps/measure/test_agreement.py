"""Right answers of real networks pass in every precision, wrong ones do not, however small the mistake in the code."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sweeps.measure.agreement import Agreement, compare_outputs, reference_name, wrong_reason
from sweeps.store.schema import TRIALS
from workloads.precision import PRECISIONS

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def agreement(outputs: list[list[float]], reference: list[list[float]]) -> Agreement:
    return compare_outputs(torch.tensor(outputs), torch.tensor(reference))


def test_the_figures_are_those_of_a_sum_by_hand() -> None:
    found = agreement([[1.0, 4.0], [2.0, 0.5]], [[1.0, 3.0], [2.0, -10.0]])
    assert found.max_abs_diff == pytest.approx(10.5)
    assert found.max_rel_diff == pytest.approx(1.05), "over the largest magnitude, not item by item"
    assert found.top1_agreement_ratio == 1.0
    assert found.n_nonfinite == 0
    soft = torch.tensor([[2.0, 0.5]]).double().softmax(1) - torch.tensor([[2.0, -10.0]]).double().softmax(1)
    assert found.max_softmax_diff == pytest.approx(float(soft.abs().max()))
    assert set(asdict(found)) <= set(TRIALS.names)


def test_top1_is_the_share_of_items_with_the_same_best_class() -> None:
    reference = [[3.0, 1.0, 2.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0], [3.0, 2.0, 1.0]]
    outputs = [[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [2.0, 1.0, 3.0], [2.0, 3.0, 1.0]]
    assert agreement(outputs, reference).top1_agreement_ratio == 0.5


def test_nan_and_infinity_count_only_where_the_reference_is_finite() -> None:
    inf, nan = float("inf"), float("nan")
    found = agreement([[nan, inf, 1.5, nan]], [[1.0, 2.0, 1.0, nan]])
    assert found.n_nonfinite == 2
    assert found.max_abs_diff == pytest.approx(0.5), "of what can be compared"
    assert found.max_softmax_diff is None
    assert wrong_reason(found, "bf16") == "2 values are NaN or infinite where the cpu fp32 is finite"
    assert agreement([[nan, 1.0]], [[nan, 1.0]]).n_nonfinite == 0


def test_nothing_finite_has_no_difference_rather_than_none() -> None:
    found = agreement([[float("nan"), float("nan")]], [[1.0, 2.0]])
    assert found.max_abs_diff is None
    assert found.max_rel_diff is None
    assert wrong_reason(found, "fp16") is not None


def test_answers_that_are_not_finite_agree_with_nothing() -> None:
    nan = float("nan")
    broken = agreement([[nan, nan], [1.0, 2.0]], [[2.0, 1.0], [1.0, 2.0]])
    assert broken.top1_agreement_ratio == 0.5, "the best class of NaN is class 0, as the reference's is"
    both = agreement([[nan, nan]], [[nan, nan]])
    assert both.top1_agreement_ratio == 0
    assert wrong_reason(both, "bf16") == "no value is finite, neither here nor in the cpu fp32"


def test_a_reference_of_zeros_has_no_relative_difference() -> None:
    found = agreement([[0.0, 1e-3]], [[0.0, 0.0]])
    assert found.max_rel_diff is None
    assert found.max_abs_diff == pytest.approx(1e-3)


def test_what_is_not_items_by_classes_has_neither_softmax_nor_top1() -> None:
    images = torch.rand(2, 3, 4, 4)
    found = compare_outputs(images + 0.25, images)
    assert (found.max_softmax_diff, found.top1_agreement_ratio) == (None, None)
    assert found.max_abs_diff == pytest.approx(0.25, rel=1e-5)
    assert compare_outputs(torch.rand(5, 1), torch.rand(5, 1)).top1_agreement_ratio is None, "one class is no choice"


def test_shapes_that_differ_and_emptiness_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        compare_outputs(torch.ones(2, 3), torch.ones(3, 2))
    with pytest.raises(ValueError, match="with elements"):
        compare_outputs(torch.ones(0, 3), torch.ones(0, 3))


def test_the_row_says_what_the_reference_was_computed_in() -> None:
    outputs = torch.rand(2, 3)
    assert compare_outputs(outputs, outputs).reference == "cpu fp32"
    assert compare_outputs(outputs, outputs.double()).reference == "cpu fp64"
    assert reference_name(outputs.bfloat16()) == "cpu bfloat16"


def test_differences_are_taken_in_double_and_not_lost_in_the_narrower_type() -> None:
    reference = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    outputs = torch.tensor([[1.0 + 2**-23, 3.0]], dtype=torch.float32)
    assert compare_outputs(outputs, reference).max_abs_diff == pytest.approx(2**-23, rel=1e-9)


@given(st.floats(1e-3, 1e3), st.integers(0, 2**31))
def test_the_relative_difference_does_not_depend_on_the_scale(scale: float, seed: int) -> None:
    reference = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    outputs = reference * 1.001
    small, large = compare_outputs(outputs, reference), compare_outputs(outputs * scale, reference * scale)
    assert large.max_rel_diff == pytest.approx(small.max_rel_diff)
    assert large.top1_agreement_ratio == small.top1_agreement_ratio == 1.0


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, stride=2), nn.BatchNorm2d(32), nn.ReLU()]
    for _ in range(8):
        layers += [nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()]
    for layer in layers[::3]:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # or the images would hardly matter at the end
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)).eval()


def pictures() -> torch.Tensor:
    """Images whose channels differ, as those of photographs do."""
    return torch.rand(8, 3, 48, 48) * torch.tensor([1.0, 0.5, 0.1])[:, None, None]


def answers(module: nn.Module, images: torch.Tensor, precision: str) -> torch.Tensor:
    dtype = DTYPES.get(precision, torch.float32)
    with torch.inference_mode(), torch.autocast("cpu", dtype=dtype, enabled=precision in DTYPES):
        return module(images).float()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_deep_networks_rounding_passes_and_is_seen(precision: str) -> None:
    module, images = network(), pictures()
    exact = network().double()(images.double()).detach()
    found = compare_outputs(answers(module, images, precision), exact)
    assert found.max_abs_diff is not None
    assert found.max_abs_diff > 0
    assert wrong_reason(found, precision) is None


def without_a_bias(module: nn.Sequential) -> None:
    nn.init.zeros_(module[-1].bias)


def with_a_layer_skipped(module: nn.Sequential) -> None:
    module[12] = nn.Identity()


def with_channels_swapped(module: nn.Sequential) -> None:
    module[0].weight.data = module[0].weight.data.flip(1)


def in_training_mode(module: nn.Sequential) -> None:
    module.train()


MISTAKES = [without_a_bias, with_a_layer_skipped, with_channels_swapped, in_training_mode]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_that_rounding_cannot_explain_is_wrong_in_fp32(mistake) -> None:
    module, images = network(), pictures()
    reference = answers(network(), images, "fp32")
    mistake(module)
    found = compare_outputs(answers(module, images, "fp32"), reference)
    reason = wrong_reason(found, "fp32")
    assert reason is not None
    assert reason.startswith("differs from the cpu fp32 by")
    assert reason.endswith("fp32 explains 0.002")


@pytest.mark.parametrize("precision", list(PRECISIONS))
def test_the_tolerance_of_a_precision_is_where_the_verdict_turns(precision: str) -> None:
    reference = torch.tensor([[10.0, 1.0]])
    allowed = PRECISIONS[precision].tolerance
    for factor, is_wrong in ((0.99, False), (1.01, True)):
        found = compare_outputs(reference + torch.tensor([[0.0, 10 * allowed * factor]]), reference)
        assert (wrong_reason(found, precision) is not None) == is_wrong


def test_a_workload_may_allow_more_and_never_less() -> None:
    found = agreement([[10.0, 1.0]], [[10.0, 1.4]])  # 4 % of the largest
    assert wrong_reason(found, "fp32") is not None
    assert wrong_reason(found, "fp32", tolerance=0.06) is None
    assert wrong_reason(found, "bf16", tolerance=0.001) is None
