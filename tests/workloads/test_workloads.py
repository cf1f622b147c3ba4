"""The three workloads on the CPU, each doing its real work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.measure.agreement import compare_outputs, compare_training, wrong_reason, wrong_training
from sweeps.measure.products import ProductTypes
from sweeps.measure.step_work import count_step
from tests.workloads.conftest import prepared
from workloads.base import BadInputError, BatchTooSmallError, Comparable, Transferable, UnsupportedError, Workload
from workloads.finetune_options import FinetuneOptions
from workloads.inference import InferenceOptions
from workloads.models.quantising import network
from workloads.pipelines.composed import PIPELINES
from workloads.precision import PRECISIONS, compute_dtype, holds_weights, product_type
from workloads.registry import load_workload, workload_names


def test_the_built_in_workloads_follow_the_protocol() -> None:
    assert workload_names()[:3] == ("image-processing", "inference", "finetune")
    for name in workload_names()[:3]:
        kind = load_workload(name)
        assert kind.name == name
        for member in ("setup", "step", "end_round", "is_done", "quality", "teardown", "check"):
            assert callable(getattr(kind, member))
    with pytest.raises(BadInputError, match=r"'nothing'.*finetune"):
        load_workload("nothing")


@pytest.mark.parametrize("pipeline", ["decode", *PIPELINES])
def test_each_pipeline_runs_and_agrees_with_itself(pipeline: str) -> None:
    workload = prepared("image-processing", pipeline=(pipeline,))
    assert isinstance(workload, Workload)
    assert isinstance(workload, Comparable)
    workload.step()
    outputs, reference = workload.outputs_and_reference()
    tolerance = {"atol": 4, "rtol": 0} if pipeline == "decode" else {}  # another decoder's rounding
    torch.testing.assert_close(outputs, reference, **tolerance)
    assert outputs.shape[0] == 8, "different photographs, more than a batch holds"
    assert (reference - reference[0]).abs().amax((1, 2))[1:].min() > 0
    workload.teardown()


def test_a_pipelines_batch_is_laid_out_as_asked_and_its_copies_can_be_timed() -> None:
    workload = prepared("image-processing", pipeline=("sobel",), memory_format="channels_last")
    assert isinstance(workload, Transferable)
    for batch in (workload.host_batch(), workload._batch):  # type: ignore[attr-defined]
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert not batch.is_contiguous()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    torch.testing.assert_close(outputs, reference)
    plain = prepared("image-processing", pipeline=("sobel",))
    computed = plain.compute(plain.host_batch())  # type: ignore[attr-defined]
    torch.testing.assert_close(workload.compute(workload.host_batch()).contiguous(), computed)
    assert prepared("image-processing", pipeline=("decode",)).host_batch() is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_pipeline_computes_in_the_precision_asked_for(precision: str) -> None:
    workload = prepared("image-processing", pipeline=("resize",), precision=precision)
    outputs, reference = workload.outputs_and_reference()
    difference = (outputs - reference).abs().max()
    assert 0 < difference < 0.05, "rounded, and not much"


def test_sobel_finds_the_edge_of_a_step() -> None:
    image = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    image[..., 4:] = 255
    gradient = PIPELINES["sobel"](image, None, torch.float32)  # type: ignore[arg-type]
    assert gradient[0, 0, 4].argmax().item() in (3, 4)
    assert gradient[0, 0, 4, 3].item() == pytest.approx(4.0, abs=1e-3)


def test_inference_in_bf16_agrees_with_fp32_on_the_best_class() -> None:
    workload = prepared("inference", model="efficientnet_lite0", precision="bf16")
    assert isinstance(workload, Transferable)
    outputs, reference = workload.outputs_and_reference()
    assert outputs.shape == (8, 1000)
    assert (outputs.argmax(1) == reference.argmax(1)).float().mean() >= 0.75
    assert (outputs - reference).abs().max() > 0, "bf16 was really used"
    assert workload.compute(workload.host_batch()).shape == (2, 1000)


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if holds_weights(name)])
def test_weights_and_inputs_are_held_in_the_precision_without_autocast(precision: str) -> None:
    workload = prepared(
        "inference", model="efficientnet_lite0", precision=precision, memory_format="channels_last", n_compared=2
    )
    assert {p.dtype for p in workload._module.parameters()} == {compute_dtype(precision)}  # type: ignore[attr-defined]
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    products = ProductTypes()
    with products:
        count_step(workload.step)
    assert products.types == [product_type(precision)]
    rounded = workload.rounded_reference()  # type: ignore[attr-defined]
    found = compare_outputs(outputs, reference, rounded, precision)
    assert wrong_reason(found, precision, is_seen=True) is None
    with pytest.raises(UnsupportedError, match="has no weights"):
        prepared("image-processing", pipeline=("resize",), precision=precision)


def test_beside_quantised_weights_a_batch_has_the_type_of_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("workloads.inference.rest_dtype", lambda _: torch.bfloat16)  # as on a GPU
    monkeypatch.setattr(network, "quantised", lambda module, *_: network.Quantised(module=module))
    (tmp_path / "net.py").write_text("import torch\ndef build():\n    return torch.nn.Linear(4, 2)\n")
    workload = prepared("inference", model=f"{tmp_path}/net.py:build", input=("4",), precision="int8-weight")
    workload.step()
    assert workload.compute(workload.host_batch()).dtype == torch.bfloat16  # type: ignore[attr-defined]


def test_training_in_weights_of_a_precision_is_compared_or_told_to_be_impossible(small_classifier: str) -> None:
    workload = prepared(
        "finetune", model=small_classifier, precision="bf16-weights", batch_size=16, image_size=32, epochs=0.1
    )
    workload.step()
    assert {p.dtype for p in workload._module.parameters()} == {torch.bfloat16}  # type: ignore[attr-defined]
    assert 0 <= workload.end_round(0)["accuracy"] <= 1
    columns = compare_training(workload.first_steps(), "bf16-weights")  # type: ignore[attr-defined]
    assert wrong_training(columns, "bf16-weights") is None
    assert columns["loss_rel_diff"] > 0
    with pytest.raises(UnsupportedError, match="fp16-weights: gradients underflow"):
        prepared("finetune", model="efficientnet_lite0", precision="fp16-weights")


def test_head_only_finetuning_learns_and_leaves_the_rest_alone() -> None:
    workload = prepared(
        "finetune", model="efficientnet_lite0", batch_size=32, tune=("head",), image_size=32, learning_rate=(2e-2,)
    )
    first = next(workload._module.parameters()).detach().clone()  # type: ignore[attr-defined]
    before = workload.end_round(0)["accuracy"]
    for _ in range(20):
        workload.step()
    after = workload.end_round(1)["accuracy"]
    assert before < 0.3
    assert after > 0.5
    assert torch.equal(first, next(workload._module.parameters()))  # type: ignore[attr-defined]
    workload.restart()  # type: ignore[attr-defined]
    assert workload.end_round(2)["accuracy"] == pytest.approx(before)


def test_full_finetuning_changes_every_part_and_ends_by_epochs(small_classifier: str) -> None:
    workload = prepared("finetune", model=small_classifier, batch_size=16, image_size=32, epochs=0.02)
    first = next(workload._module.parameters()).detach().clone()  # type: ignore[attr-defined]
    steps = 0
    while not workload.is_done():
        workload.step()
        steps += 1
    assert steps == workload._total_steps >= 1  # type: ignore[attr-defined]
    assert not torch.equal(first, next(workload._module.parameters()))  # type: ignore[attr-defined]


def test_one_small_image_is_too_few_to_train_batch_normalisation_on_but_not_for_the_head_or_a_larger_image() -> None:
    few: dict[str, Any] = {"model": "efficientnet_lite0", "batch_size": 1}
    with pytest.raises(BatchTooSmallError, match=r"--batch-size 2, an --image-size over 48.*_blocks\.\d+\._bn\d"):
        prepared("finetune", **few)
    for options in ({"tune": ("head",)}, {"image_size": 96}):
        workload = prepared("finetune", **few, **options)
        workload.step()
        assert workload.items_per_step == 1


def test_no_batch_is_called_larger_than_the_images_to_train_on() -> None:
    # A step of 1,437 images stood as batch 2,048 and 4,096, and the search for batch sizes went on without an end.
    with pytest.raises(UnsupportedError, match="--batch-size 1437 or less: there are 1437 images"):
        prepared("finetune", model="efficientnet_lite0", batch_size=1438)
    whole = prepared("finetune", model="efficientnet_lite0", batch_size=1437, image_size=32, tune=("head",))
    assert whole.items_per_step == 1437


def test_the_time_allowed_ends_a_training_within_its_round() -> None:
    workload = prepared("finetune", model="efficientnet_lite0", batch_size=8, image_size=32, max_train_s=0.05)
    steps = 0
    while not workload.is_done():
        workload.step()
        steps += 1
    assert 1 <= steps < workload.steps_per_round


@pytest.mark.parametrize(
    "make",
    [
        lambda: FinetuneOptions(epochs=0),
        lambda: FinetuneOptions(target_accuracy=1.5),
        lambda: FinetuneOptions(learning_rate=(0.0,)),
        lambda: FinetuneOptions(image_size=8),
        lambda: InferenceOptions(scenario=("server",)),
        lambda: InferenceOptions(rate=(-1.0,)),
    ],
)
def test_bad_options_are_refused(make: object) -> None:
    with pytest.raises(BadInputError, match="--"):
        make()  # type: ignore[operator]
