"""What a cell is asked once at its end: seconds and joules to the target, energy without evaluations, agreement."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sweeps import extras
from sweeps.config import MeasureConfig, TrialConfig
from sweeps.extras import final_columns, training_columns
from sweeps.outcome import WrongResultError
from sweeps.schema import TRIALS

CPU = torch.device("cpu")
CELL = TrialConfig(workload="inference", device="cpu", batch_size=2)


def rounds(
    accuracies: list[float | None], *, joules: float | None = 30.0, seconds: float = 2.0
) -> list[dict[str, Any]]:
    return [
        {
            "round": i, "elapsed_s": (i + 1) * seconds, "seconds": seconds, "items": 100, "energy_j": joules,
            "accuracy": accuracy, "loss": None if accuracy is None else 1 - accuracy,
        }
        for i, accuracy in enumerate(accuracies)
    ]  # fmt: skip


def test_the_target_is_reached_when_it_is_first_held_with_the_joules_of_the_rounds_until_then() -> None:
    found = training_columns(rounds([0.5, 0.9, 0.96, 0.94]), 0.95, period_s=0.1)
    assert found["time_to_target_s"] == pytest.approx(6.0)
    assert found["energy_to_target_j"] == pytest.approx(90.0)
    assert found["accuracy_best"] == 0.96
    assert found["accuracy_final"] == 0.94
    assert found["loss_final"] == pytest.approx(0.06)
    assert set(found) <= set(TRIALS.names)


def test_energy_of_a_training_is_that_of_its_rounds_and_not_of_its_evaluations() -> None:
    found = training_columns(rounds([0.5, 0.9, 0.96, 0.94]), 0.95, period_s=0.1)
    assert found["energy_j"] == pytest.approx(120.0)
    assert found["energy_window_s"] == pytest.approx(8.0)
    assert found["mean_power_w"] == pytest.approx(15.0)
    assert found["energy_per_item_j"] == pytest.approx(120 / 400)


def test_a_target_never_reached_has_neither_seconds_nor_joules() -> None:
    found = training_columns(rounds([0.5, 0.9]), 0.95, period_s=0.1)
    assert "time_to_target_s" not in found
    assert "energy_to_target_j" not in found
    assert training_columns(rounds([0.5, 0.9]), None, period_s=0.1).get("time_to_target_s") is None


def test_joules_to_the_target_are_null_where_unknown_or_too_short() -> None:
    assert training_columns(rounds([0.96], joules=None), 0.95, 0.1)["energy_to_target_j"] is None
    assert training_columns(rounds([0.96]), 0.95)["energy_to_target_j"] is None, "no counter"
    # Reached after one round of 2 s: under ten periods of a counter of 0.3 s, while all four rounds are over it.
    found = training_columns(rounds([0.96, 0.97, 0.97, 0.97]), 0.95, period_s=0.3)
    assert found["energy_to_target_j"] is None
    assert found["energy_j"] == pytest.approx(120.0)
    assert found["time_to_target_s"] == pytest.approx(2.0)


def test_steady_work_has_no_columns_of_training() -> None:
    assert training_columns(rounds([None, None]), None, 0.1) == {}
    assert training_columns([], 0.95, 0.1) == {}


class Work:
    """Steady work whose answer is compared, for real."""

    def __init__(self, outputs: torch.Tensor, reference: torch.Tensor) -> None:
        self._answer = outputs, reference

    def step(self) -> None:
        torch.ones(4, 4) @ torch.ones(4, 4)

    def outputs_and_reference(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._answer


def collected(work: object, row: dict[str, Any], **cell: Any) -> dict[str, Any]:
    merged: dict[str, Any] = dict(row)
    config = TrialConfig(workload="inference", device="cpu", batch_size=2, **cell)
    for columns in final_columns(work, CPU, config, MeasureConfig(), row, []):  # type: ignore[arg-type]
        merged |= columns
    return merged


def test_the_row_says_which_reference_the_answer_was_compared_with() -> None:
    exact = torch.tensor([[1.0, 2.0], [3.0, 1.0]], dtype=torch.float64)
    assert collected(Work(exact.float(), exact), {})["reference"] == "cpu fp64"
    row = collected(Work(exact.float(), exact.float()), {"step_median_s": 0.1})
    assert row["reference"] == "cpu fp32"
    assert row["top1_agreement_ratio"] == 1.0
    assert row["flops_per_step"] == 2 * 4**3
    assert set(row) <= set(TRIALS.names)


def test_a_wrong_answer_keeps_its_figures_and_ends_as_an_error() -> None:
    reference = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    row: dict[str, Any] = {}

    def collect() -> None:
        work = Work(reference.flip(1), reference)
        for columns in final_columns(work, CPU, CELL, MeasureConfig(), row, []):  # type: ignore[arg-type]
            row.update(columns)

    with pytest.raises(WrongResultError, match="differs from the cpu fp32"):
        collect()
    assert row["top1_agreement_ratio"] == 0.0
    assert row["flops_per_step"] == 2 * 4**3


def test_energy_of_a_search_for_a_rate_is_null_as_its_window_held_every_rate() -> None:
    energy = {
        "energy_j": 500.0,
        "energy_per_item_j": 0.5,
        "items_per_j": 2.0,
        "mean_power_w": 50.0,
        "energy_window_s": 10.0,
    }
    work = SimpleNamespace(step=lambda: None)
    searched = collected(work, {**energy, "max_rate_per_s": 120.0, "peak_power_w": 70.0, "energy_source": "nvml"})
    assert [searched[name] for name in energy] == [None] * 5
    assert searched["peak_power_w"] is None
    assert searched["energy_source"] == "nvml"
    fixed = collected(work, energy)
    assert {name: fixed[name] for name in energy} == energy


def test_the_counters_pace_is_that_of_the_cells_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    def source(device: torch.device) -> SimpleNamespace:
        asked.append(device)
        return SimpleNamespace(period_s=0.1)

    monkeypatch.setattr(extras, "open_energy_source", source)
    work, row = SimpleNamespace(step=lambda: None), {"n_train_items": 200}
    merged: dict[str, Any] = {}
    for columns in final_columns(work, CPU, CELL, MeasureConfig(), row, rounds([0.5, 0.96])):  # type: ignore[arg-type]
        merged |= columns
    assert asked == [CPU]
    assert merged["epochs_run"] == pytest.approx(1.0)
    assert merged["energy_j"] == pytest.approx(60.0)
