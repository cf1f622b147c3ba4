"""A training that diverges ends as an error that says so, with its timing and without an accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sweeps.cell.cell_run import CellRun
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from tests.workloads.conftest import prepared


def noise(folder: Path, **counts: int) -> Path:
    random = np.random.default_rng(0)
    for name, n in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")
    return folder


def test_a_diverged_training_is_an_error_without_an_accuracy(tmp_path: Path) -> None:
    # Nearly all images are of class 0, which is the best class of NaN.
    options = {"data": str(noise(tmp_path, a=58, b=2)), "image_size": 32, "learning_rate": 1e30}
    cell = TrialConfig(
        workload="finetune", device="cpu", batch_size=4, model="efficientnet_lite0", options=options
    )  # fmt: skip
    run = CellRun(cell, MeasureConfig(warmup_max_s=0.1), n_threads=torch.get_num_threads())
    rounds = []
    while not run.is_finished:
        run.advance()
        message = run.take_message()
        rounds += message.rounds
    row = message.row
    assert row["status"] == "error", row
    assert row["status_reason"].startswith("diverged: the loss is not finite after ")
    assert row["error_type"] == "DivergedError"
    assert row["throughput_items_per_s"] > 0
    assert run.ended_well, "it did the process no harm"
    assert [row.get(name) for name in ("accuracy_best", "accuracy_final", "loss_final")] == [None] * 3
    assert [(entry["accuracy"], entry["loss"]) for entry in rounds] == [(None, None)], (
        "it ends with its first such round"
    )


def test_logits_that_are_not_finite_are_never_right() -> None:
    workload = prepared("finetune", model="efficientnet_lite0", batch_size=2, image_size=32)
    with torch.no_grad():
        for parameter in workload._module.parameters():  # type: ignore[attr-defined]
            parameter.fill_(float("nan"))
    assert workload.end_round(0)["accuracy"] == 0
    workload.teardown()
