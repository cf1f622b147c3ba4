"""Rows of older sweeps: a training's rate over its time, and nothing that contradicts another figure of the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.read.sweep import load_sweep
from tests.analysis.conftest import Write, row

H100 = Path(__file__).parents[3] / "docs/reports/h100/sweeps"
OLD: dict[str, Any] = {
    "workload": "finetune", "step_median_s": 0.01, "throughput_items_per_s": 6400.0, "throughput_low_items_per_s": 6300.0,
    "throughput_high_items_per_s": 6500.0, "measured_s": 3.0, "n_train_items": 1000, "epochs_run": 15.0,
}  # fmt: skip


def read(write_sweep: Write, **values: Any) -> dict[str, Any]:
    return dict(load_sweep(write_sweep([row(0, **values)])).iloc[0])


def test_the_rate_of_an_older_training_is_its_items_over_its_time(write_sweep: Write) -> None:
    found = read(write_sweep, **OLD)
    assert found["throughput_items_per_s"] == pytest.approx(5000.0)
    assert pd.isna(found["throughput_low_items_per_s"]), "the interval was that of the median step"
    assert pd.isna(found["rate_note"])


def test_a_rate_that_is_so_already_keeps_its_interval(write_sweep: Write) -> None:
    found = read(write_sweep, **{**OLD, "throughput_items_per_s": 5000.0})
    assert (found["throughput_items_per_s"], found["throughput_low_items_per_s"]) == (5000.0, 6300.0)


def test_where_the_items_are_not_known_the_row_says_whose_rate_it_is(write_sweep: Write) -> None:
    found = read(write_sweep, **{**OLD, "epochs_run": None, "status": "pruned"})
    assert (found["throughput_items_per_s"], found["rate_note"]) == (6400.0, "rate of the median step")


def test_what_contradicts_another_figure_is_null_with_its_reason(write_sweep: Write) -> None:
    found = read(write_sweep, mean_power_w=70.0, peak_power_w=60.0, idle_power_w=90.0, flop_share_ratio=3.32)
    assert found["mean_power_w"] == 70.0
    assert all(pd.isna(found[name]) for name in ("peak_power_w", "idle_power_w", "flop_share_ratio"))
    assert found["power_note"] == "peak power under the mean, idle power over the mean"
    assert found["limits_note"] == "FLOP/s over the ceiling"


def test_the_work_of_an_older_query_is_that_of_all_its_batches(write_sweep: Write) -> None:
    query = {"scenario": "multi-stream", "items_per_step": 4, "step_median_s": 0.08, "throughput_items_per_s": 400.0}
    found = read(write_sweep, **query, flop_share_ratio=0.05)
    assert (found["items_per_step"], found["flop_share_ratio"]) == (32, 0.4)
    assert read(write_sweep, **{**query, "items_per_step": 32})["items_per_step"] == 32, "told as today"


@pytest.mark.parametrize(("steps", "told"), [(1, 40.0), (None, 40.0), (16, None)])
def test_samples_of_single_steps_are_counted_where_an_older_row_has_them(
    write_sweep: Write, steps: int | None, told: float | None
) -> None:
    found = read(write_sweep, n_samples=40, steps_per_sample=steps)
    assert found["n_latency_samples"] == told if told else pd.isna(found["n_latency_samples"])


def test_nothing_published_contradicts_itself() -> None:
    for file in sorted(H100.glob("*/trials.parquet")):
        cells = load_sweep(file)
        assert not (cells["mean_power_w"] > cells["peak_power_w"]).any()
        assert not (cells["mean_power_w"] < cells["idle_power_w"]).any()
        trained = cells[(cells["workload"] == "finetune") & (cells["status"] == "complete")]
        rate = trained["epochs_run"] * trained["n_train_items"] / trained["measured_s"]
        assert trained["throughput_items_per_s"].tolist() == pytest.approx(rate.tolist())
