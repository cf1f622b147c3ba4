"""What a cell is asked once at its end: seconds and joules to the target, energy without evaluations, agreement."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sweeps.cell import final_columns as extras
from sweeps.cell.device_facts import DeviceFacts
from sweeps.cell.final_columns import compile_seconds, final_columns
from sweeps.cell.outcome import WrongResultError
from sweeps.cell.training_columns import SUSTAINED_S, training_columns, training_energy
from sweeps.measure.monitors.energy import energy_figures
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.store.rows import is_diverged, round_columns
from sweeps.store.schema import TRIALS
from workloads.scenarios import SCENARIOS, Sending

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


def energy(
    curve: list[dict[str, Any]], target: float = 0.95, period_s: float = 0.1, each: float | None = None
) -> dict[str, float | None]:
    """Energy of a training; ``each`` are the joules per item of steps after it, at ten watts."""
    joules = None if each is None else 1000 * each
    return training_energy(curve, target, period_s, lambda _: energy_figures(joules, 100 * (each or 1), 1000, 0.1))


def test_the_target_is_reached_when_it_is_first_held_with_the_joules_of_the_rounds_until_then() -> None:
    curve = rounds([0.5, 0.9, 0.96, 0.94])
    found = training_columns(curve, 0.95)
    assert found["time_to_target_s"] == pytest.approx(6.0)
    assert energy(curve)["energy_to_target_j"] == pytest.approx(90.0)
    assert found["accuracy_best"] == 0.96
    assert found["accuracy_final"] == 0.94
    assert found["loss_final"] == pytest.approx(0.06)
    assert set(found) | set(energy(curve)) <= set(TRIALS.names)


def test_one_answer_to_everything_is_no_round_s_best_accuracy() -> None:
    curve = rounds([0.97, 0.8, 0.97])
    for entry in (curve[0], curve[2]):
        entry["n_classes_answered"] = 1
    found = training_columns(curve, 0.9)
    assert (found["accuracy_best"], found["accuracy_final"], "time_to_target_s" in found) == (0.8, 0.97, False)
    assert training_columns(curve[:1], 0.9)["accuracy_best"] is None


def test_what_a_round_after_divergence_says_is_null_and_reaches_nothing() -> None:
    reached = [{"accuracy": 0.5, "loss": 0.7}, {"accuracy": 1.0, "loss": math.nan}, {"accuracy": 1.0, "loss": math.inf}]
    assert [is_diverged(r) for r in reached] == [False, True, True]
    told = [round_columns(r) for r in reached]
    assert told[1:] == [{"accuracy": None, "loss": None}] * 2
    found = training_columns([{**r, "elapsed_s": 1.0} for r in told], 0.95)
    assert found == {
        "accuracy_best": 0.5,
        "accuracy_final": None,
        "loss_final": None,
        "balanced_accuracy_final": None,
        "target_accuracy": 0.95,
    }
    assert training_columns([{**told[1], "elapsed_s": 1.0}], 0.95) == {}
    assert round_columns({"accuracy": math.nan}) == {"accuracy": None}
    assert not is_diverged({})


def test_energy_of_a_training_is_that_of_its_rounds_and_not_of_its_evaluations() -> None:
    found = energy(rounds([0.5, 0.9, 0.96, 0.94]), each=7.0)
    assert found["energy_j"] == pytest.approx(120.0)
    assert found["energy_window_s"] == pytest.approx(8.0)
    assert found["mean_power_w"] == pytest.approx(15.0)
    assert found["energy_per_item_j"] == pytest.approx(120 / 400)


def test_rounds_too_short_for_the_counter_are_followed_by_steps_whose_joules_hold_for_them() -> None:
    curve = rounds([0.5, 0.96, 0.97], joules=0.5, seconds=0.05)
    found = energy(curve, each=0.25)
    assert found["energy_per_item_j"] == pytest.approx(0.25)
    assert found["mean_power_w"] == pytest.approx(10.0)
    assert found["energy_to_target_j"] == pytest.approx(0.25 * 200), "two rounds of a hundred items"
    assert energy(curve)["energy_to_target_j"] is None, "a counter too slow to be waited for"
    asked: list[float] = []
    for seconds in (0.05, 8.0):
        training_energy(rounds([0.5], joules=None, seconds=seconds), None, 0.1, lambda s: asked.append(s) or {
            "energy_j": None, "energy_per_item_j": None})  # fmt: skip
    assert asked == [SUSTAINED_S, 8.0], "at most three seconds, or as long as the training"


def test_a_target_never_reached_has_neither_seconds_nor_joules() -> None:
    assert "time_to_target_s" not in training_columns(rounds([0.5, 0.9]), 0.95)
    assert "energy_to_target_j" not in energy(rounds([0.5, 0.9]))
    assert training_columns(rounds([0.5, 0.9]), None).get("time_to_target_s") is None


def test_joules_to_the_target_are_null_where_unknown_and_the_items_where_only_their_rounds_are_too_short() -> None:
    assert energy(rounds([0.96], joules=None))["energy_to_target_j"] is None
    assert energy(rounds([0.96]), period_s=math.inf)["energy_to_target_j"] is None, "no counter"
    # Reached after one round of 2 s: under ten periods of a counter of 0.3 s, while all four rounds are over it.
    found = energy(rounds([0.96, 0.97, 0.97, 0.97]), period_s=0.3)
    assert found["energy_j"] == pytest.approx(120.0)
    assert found["energy_to_target_j"] == pytest.approx(30.0)


def test_steady_work_has_no_columns_of_training() -> None:
    assert training_columns(rounds([None, None]), None) == {}
    assert training_columns([], 0.95) == {}


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


class Ceilings(DeviceFacts):
    """Of a machine that was busy at first; whoever asks again finds what it can do."""

    def take_ceilings_again(self, device: torch.device, precision: str) -> dict[str, Any]:
        return {"ceiling_flop_per_s": self.ceiling_flop_per_s["fp32"], "ceiling_bytes_per_s": self.ceiling_bytes_per_s}


@pytest.mark.parametrize(("again", "note"), [
    (1e4, "ceilings taken again"),
    (500.0, "ceilings taken again, FLOP/s over the ceiling, bandwidth over the ceiling"),
])  # fmt: skip
def test_a_cell_above_its_ceilings_has_them_taken_again_or_no_share(again: float, note: str) -> None:
    facts = Ceilings(
        timing_verified=True, idle_power_w=None, ceiling_bytes_per_s=again, ceiling_flop_per_s={"fp32": again}
    )
    row = {"step_median_s": 0.1, "ceiling_flop_per_s": 200.0, "ceiling_bytes_per_s": 200.0}
    asked = (Work(torch.eye(4), torch.eye(4)), CPU, CELL, MeasureConfig(), row, [], facts)
    for columns in final_columns(*asked):  # type: ignore[arg-type]
        row |= columns
    assert row["limits_note"] == note
    assert row["ceiling_flop_per_s"] == again
    assert row["flop_share_ratio"] == (None if again < 1e3 else pytest.approx(row["flops_per_step"] / 0.1 / again))
    assert row["bandwidth_share_ratio"] is None or row["bandwidth_share_ratio"] <= 1


def test_the_row_says_which_reference_the_answer_was_compared_with() -> None:
    exact = torch.tensor([[1.0, 2.0], [3.0, 1.0]], dtype=torch.float64)
    assert collected(Work(exact.float(), exact), {})["reference"] == "cpu fp64"
    row = collected(Work(exact.float(), exact.float()), {"step_median_s": 0.1})
    assert row["reference"] == "cpu fp32"
    assert row["top1_agreement_ratio"] == 1.0
    assert row["flops_per_step"] == 2 * 4**3
    assert set(row) <= set(TRIALS.names)


def test_what_the_first_step_took_beyond_the_others_is_compilation_where_something_was_compiled() -> None:
    fused, plain = SimpleNamespace(is_compiled=True), SimpleNamespace()
    row = {"first_step_s": 5.0, "step_median_s": 0.5}
    assert compile_seconds("none", fused, row) == compile_seconds("default", plain, row) == 4.5
    assert compile_seconds("none", fused, {**row, "first_step_s": 0.4}) == 0.0
    assert compile_seconds("none", fused, {**row, "step_median_s": None}) is None
    assert compile_seconds("none", plain, row) is None


def test_a_query_of_eight_batches_has_the_work_and_the_time_of_all_of_them() -> None:
    work = Work(torch.eye(4), torch.eye(4))
    vars(work).update(sending=Sending(scenario=SCENARIOS["multi-stream"]), is_compiled=True)
    query = {"step_median_s": 0.8, "first_step_s": 0.3}
    row = collected(work, query)
    assert row["flops_per_step"] == 8 * 2 * 4**3
    assert row["achieved_flop_per_s"] == pytest.approx(row["flops_per_step"] / row["step_median_s"])
    assert compile_seconds("none", work, query) == pytest.approx(0.2), "the first step was one batch"  # type: ignore[arg-type]


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
    measured = {
        "energy_j": 500.0,
        "energy_per_item_j": 0.5,
        "items_per_j": 2.0,
        "mean_power_w": 50.0,
        "energy_window_s": 10.0,
    }
    work = SimpleNamespace(step=lambda: None)
    searched = collected(work, {**measured, "max_rate_per_s": 120.0, "peak_power_w": 70.0, "energy_source": "nvml"})
    assert [searched[name] for name in measured] == [None] * 5
    assert searched["peak_power_w"] is None
    assert searched["energy_source"] == "nvml"
    fixed = collected(work, measured)
    assert {name: fixed[name] for name in measured} == measured


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
