"""A training that diverges ends as an error that says so, with its timing and without an accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.contract.choice import doubts
from sweeps.cell.cell_run import CellRun
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.session.terminal import format_result
from tests.workloads.conftest import prepared


def noise(folder: Path, **counts: int) -> Path:
    random = np.random.default_rng(0)
    for name, n in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")
    return folder


def trained(
    folder: Path, model: str, n_of_b: int, **options: object
) -> tuple[CellRun, dict[str, object], list[dict[str, object]]]:
    """A finetuning of nearly all images of class 0, which is the best class of NaN: the run, its row and its rounds."""
    data = str(noise(folder, a=60 - n_of_b, b=n_of_b))
    cell = TrialConfig(
        workload="finetune", device="cpu", batch_size=4, model=model,
        options={"data": data, "image_size": 32, **options},
    )  # fmt: skip
    run = CellRun(cell, MeasureConfig(warmup_max_s=0.1), n_threads=torch.get_num_threads())
    rounds = []
    while not run.is_finished:
        run.advance()
        message = run.take_message()
        rounds += message.rounds
    return run, message.row, rounds


def test_a_diverged_training_is_an_error_without_an_accuracy(tmp_path: Path, small_classifier: str) -> None:
    run, row, rounds = trained(tmp_path, small_classifier, 2, learning_rate=1e30)
    assert row["status"] == "error", row
    assert str(row["status_reason"]).startswith("diverged: the loss is not finite after ")
    assert row["error_type"] == "DivergedError"
    assert row["throughput_items_per_s"] > 0
    assert run.ended_well, "it did the process no harm"
    names = ("accuracy_best", "accuracy_final", "balanced_accuracy_final", "loss_final")
    assert [row.get(name) for name in names] == [None] * 4
    (entry,) = rounds  # it ends with its first such round
    names = ("accuracy", "balanced_accuracy", "n_classes_answered", "loss")
    assert [entry[name] for name in names] == [None] * 4


@pytest.mark.parametrize(("n_of_b", "balanced"), [(2, 1.0), (8, 0.5)])  # of 2 none is held out
def test_a_training_that_learned_one_class_says_so_and_reaches_no_target_by_it(
    tmp_path: Path, small_classifier: str, n_of_b: int, balanced: float
) -> None:
    _, row, rounds = trained(tmp_path, small_classifier, n_of_b, learning_rate=1e-3, epochs=2.0, target_accuracy=0.8)
    assert (row["status"], row["learned"]) == ("complete", "one class only")
    assert row["balanced_accuracy_final"] == balanced <= row["accuracy_final"]
    assert "time_to_target_s" not in row or rounds[0]["n_classes_answered"] != 1
    assert rounds[-1]["n_classes_answered"] == 1
    assert "learned one class only" in doubts(row)
    assert f"(balanced {balanced:.1%})" in format_result(row)


def test_logits_that_are_not_finite_are_never_right() -> None:
    workload = prepared("finetune", model="efficientnet_lite0", batch_size=2, image_size=32)
    with torch.no_grad():
        for parameter in workload._module.parameters():  # type: ignore[attr-defined]
            parameter.fill_(float("nan"))
    assert workload.end_round(0)["accuracy"] == 0
    workload.teardown()
