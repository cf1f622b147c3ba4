"""Runs of one cell as one line: repeats, seeds, sweeps of one machine; intervals over them, and rechecks."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pandas as pd
import pytest

from analysis.cells.pooling import MOVED, with_runs_pooled
from analysis.contract.runs import ACCURACY_SD, N_RUNS, SPEED_SD, n_asked
from analysis.page.runs import told_of_runs
from analysis.read.sweeps import load_sweeps
from analysis.recommendation.page import write_report
from analysis.stats import between_runs
from tests.analysis.conftest import Write, row

pytestmark = pytest.mark.usefixtures("undrawn")


def run(index: int, speed: float, repeat: int = 1, batch: int = 1, **values: object) -> dict[str, object]:
    """A run of the cell of a batch size on one machine, without an interval of its own."""
    plain = {"batch_size": batch, "items_per_step": batch, "throughput_items_per_s": speed, "repeat": repeat, "host": "h",
             "throughput_low_items_per_s": 0.999 * speed, "throughput_high_items_per_s": 1.001 * speed, "seed": 0,
             "step_median_s": batch / speed, "step_median_low_s": None, "step_median_high_s": None}  # fmt: skip
    return row(index, **{**plain, **values})


def read(*sweeps: Path) -> pd.DataFrame:
    return with_runs_pooled(load_sweeps(sweeps))


SPEEDS = {1: (100.0, 104.0, 98.0), 4: (300.0, 297.0, 310.0)}


def repeated() -> list[dict[str, object]]:
    runs = [(batch, repeat, speed) for batch, told in SPEEDS.items() for repeat, speed in enumerate(told, start=1)]
    return [run(i, speed, repeat, batch) for i, (batch, repeat, speed) in enumerate(runs)]


def test_repeats_are_one_line_with_the_interval_of_a_spread_pooled_over_the_cells(write_sweep: Write) -> None:
    frame = read(write_sweep(repeated()))
    assert frame["batch_size"].tolist() == [1, 4]
    assert frame[N_RUNS].tolist() == [3, 3]
    spread = between_runs.pooled([[told] for told in SPEEDS.values()])
    for told, line in zip(SPEEDS.values(), frame.to_dict("records"), strict=True):
        expected = spread.interval(told)
        assert line["throughput_items_per_s"] == pytest.approx(statistics.geometric_mean(told))
        assert line["throughput_low_items_per_s"] == pytest.approx(expected.low)
        assert line["throughput_high_items_per_s"] == pytest.approx(expected.high)
        assert line[SPEED_SD] == pytest.approx(statistics.stdev(map(math.log, told)))
        assert line["step_median_low_s"] == pytest.approx(line["batch_size"] / expected.high)
    assert frame[MOVED].isna().all()
    (said,) = told_of_runs(frame)
    assert said.text.startswith("Each cell's figures are from 3 runs, each in a fresh process")


def test_flags_that_every_run_has_are_pooled_too(write_sweep: Write) -> None:
    rows = [{**r, "is_precise": i > 0, "is_throttled": False} for i, r in enumerate(repeated())]
    frame = read(write_sweep(rows))
    assert frame["is_precise"].isna().all(), "it is of the interval within a run"
    assert len(frame) == 2


def test_sweeps_of_the_same_cells_are_pooled_and_the_luckiest_run_is_not_the_answer(
    write_sweep: Write, tmp_path: Path
) -> None:
    speeds = (100.0, 130.0, 100.0)
    sweeps = [write_sweep([run(0, speed), run(1, 110.0, batch=2)], f"s{i}") for i, speed in enumerate(speeds)]
    frame = read(*sweeps)
    assert frame["throughput_items_per_s"].tolist() == pytest.approx([statistics.geometric_mean(speeds), 110.0])
    page = write_report(sweeps, tmp_path / "page.md").read_text()
    assert "130" not in page
    assert "3 runs, standard deviation" in page


def test_runs_of_other_machines_versions_or_work_are_lines_of_their_own(write_sweep: Write) -> None:
    for change in ({"host": "i"}, {"torch_version": "1"}, {"n_threads": 7}, {"options": '{"epochs": 2}'}):
        assert len(read(write_sweep([run(0, 100.0), run(1, 90.0, 2, **change)]))) == 2, change


def test_a_recheck_tells_by_how_much_its_device_moves_and_what_is_closer_is_not_told_apart(
    write_sweep: Write, tmp_path: Path
) -> None:
    sweep = write_sweep([run(0, 100.0), run(1, 106.0, batch=2), run(2, 80.0, batch=4), run(3, 90.0, 2)])
    frame = read(sweep)
    assert frame["batch_size"].tolist() == [1, 2, 4]
    assert frame[MOVED].tolist() == pytest.approx([100 / 90] * 3)
    page = write_report([sweep], tmp_path / "page.md").read_text()
    assert "The first cell of cpu was measured again at the end, in a fresh process, and differed by 11 %" in page


def test_accuracy_over_seeds_is_their_mean_and_a_rechecked_epoch_is_none_of_it(write_sweep: Write) -> None:
    found = (0.97, 0.98, 0.96)
    trained = [
        run(i, 100.0 + i, seed=i, accuracy_best=a, accuracy_final=a, time_to_target_s=9.0 + i)
        for i, a in enumerate(found)
    ]
    (line,) = read(write_sweep(trained, "seeds")).to_dict("records")
    assert line["accuracy_best"] == pytest.approx(0.97)
    assert line[ACCURACY_SD] == pytest.approx(0.01)
    assert line["time_to_target_s"] == 10.0
    trained[2]["time_to_target_s"] = None
    (line,) = read(write_sweep(trained, "missed")).to_dict("records")
    assert math.isnan(line["time_to_target_s"]), "a seed that never reaches it is not left out of the mean"
    lines = read(write_sweep([trained[0], run(1, 120.0, batch=2), run(2, 110.0, 2)], "rechecked"))
    assert lines["accuracy_best"].tolist()[0] == found[0]
    assert lines["throughput_items_per_s"].tolist()[0] == 100.0
    assert lines[MOVED].tolist()[0] == pytest.approx(1.1)


def test_a_repeat_that_failed_stays_a_row_and_one_that_ended_alike_is_told_once(write_sweep: Write) -> None:
    rows = [run(0, 100.0), run(1, 101.0, 2), run(2, 99.0, 3, status="crashed", status_reason="the worker died"),
            run(3, 99.0, 4, status="crashed", status_reason="the worker died")]  # fmt: skip
    frame = read(write_sweep(rows))
    assert frame["status"].tolist() == ["complete", "crashed"]
    assert frame[N_RUNS].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("config", "statuses", "asked"),
    [
        ({}, ["complete", "complete"], 2),
        ({"recheck": True, "seed": 0}, ["complete", "complete"], 3),
        ({"recheck": True, "seed": 0}, ["complete", "oom"], 2),
        ({"repeats": 3, "seed": 0}, ["complete", "pruned"], 4),
        ({"repeats": 3, "seed": 0, "other_seeds": [5]}, ["complete", "complete"], 12),
        ({"repeats": 3, "seed": 0}, ["complete"], 4),
    ],
)
def test_rows_asked_for_follow_from_what_was_asked_and_what_was_measured(
    config: dict[str, object], statuses: list[str], asked: int
) -> None:
    rows = [{"status": status, "seed": 0, "repeat": 1, "device": "cpu"} for status in statuses]
    assert n_asked({"n_cells": 2, "config": config}, rows) == asked
    assert n_asked({"n_cells": asked, "config": config, "merged_from": []}, rows) == asked, "a merged one says all"
