"""What a compilation is worth, on hand-made rows with known answers."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from analysis.cells.identity import with_identity
from analysis.cells.rows import records
from analysis.read.sweeps import load_sweeps
from analysis.recommendation.compilation import WITHOUT, WON_BACK, told, with_compilation
from analysis.recommendation.page import write_report
from tests.analysis.conftest import Write, row

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def worth(write_sweep: Write) -> Any:
    def made(rows: list[dict[str, Any]]) -> pd.DataFrame:
        frame = with_compilation(with_identity(load_sweeps([write_sweep(rows)], ["implementation"])))
        return frame.set_index("trial_key")

    return made


def test_it_is_won_back_by_what_its_steps_are_shorter_than_those_of_the_cell_alike(worth: Any) -> None:
    frame = worth([
        row(0, step_median_s=0.5), row(1, step_median_s=0.1, compile="default", compile_s=20.0),
        row(2, batch_size=16, step_median_s=0.9), row(3, batch_size=16, step_median_s=1.0, compile="default", compile_s=20.0),
        row(4, precision="bf16", step_median_s=0.1, compile="default", compile_s=20.0),
    ])  # fmt: skip
    assert frame.loc["k001", WON_BACK] == pytest.approx(20 / 0.4 * 8)
    assert frame.loc["k001", WITHOUT] == pytest.approx(8 / 0.5)
    assert frame.loc["k003", WON_BACK] == math.inf, "longer than without"
    assert frame.loc[["k000", "k002", "k004"], [WON_BACK, WITHOUT]].isna().all(axis=None), "nothing compiled, or alone"


def test_a_compilation_is_judged_beside_cells_of_another_workload(worth: Any) -> None:
    frame = worth([
        row(0, step_median_s=0.5, implementation="eager"),
        row(1, step_median_s=0.1, compile="default", compile_s=20.0, implementation="eager"),
        row(2, workload="finetune", tune="full", step_median_s=0.7),
    ])  # fmt: skip
    assert frame.loc["k001", WON_BACK] == pytest.approx(20 / 0.4 * 8)
    assert frame.loc[["k000", "k002"], WON_BACK].isna().all()


def test_what_is_always_compiled_is_held_against_the_eager_implementation(worth: Any) -> None:
    frame = worth([
        row(0, step_median_s=0.5, implementation="eager"), row(1, step_median_s=0.3, implementation="frozen"),
        row(2, step_median_s=0.1, implementation="fused", compile_s=4.0),
        row(3, step_median_s=0.1, implementation="frozen", compile="default", compile_s=4.0),
    ])  # fmt: skip
    assert frame.loc["k002", WON_BACK] == pytest.approx(4 / 0.4 * 8)
    assert frame.loc["k003", WON_BACK] == pytest.approx(4 / 0.2 * 8), "its own implementation, where it ran without"


def test_a_sentence_says_whether_a_training_is_long_enough(worth: Any) -> None:
    training = {"epochs_run": 3.0, "n_train_items": 100}
    frame = worth([row(0, step_median_s=0.5, **training),
                   row(1, step_median_s=0.1, compile="default", compile_s=20.0, **training)])  # fmt: skip
    (plain, compiled) = records(frame)
    assert told(plain, "images") is None
    said = told(compiled, "images")
    assert said == ("Its compilation takes 20.0 s, which pays off after about 400 images compared with the same cell"
                    " without compilation (16.0 images/s); this training processed 300, so it finishes sooner without"
                    " compilation.")  # fmt: skip
    longer = told({**compiled, "epochs_run": 5.0}, "images")
    assert longer is not None
    assert longer.endswith("this training processed 500, so compilation shortens it.")
    served = told({**compiled, "epochs_run": None}, "images")
    assert served is not None
    assert served.endswith("(16.0 images/s).")


def test_the_report_says_it_of_the_fastest_and_in_the_table(write_sweep: Write) -> None:
    rows = [row(0, step_median_s=0.5), row(1, step_median_s=0.1, compile="default", compile_s=20.0),
            row(2, step_median_s=0.6, compile="reduce-overhead", compile_s=30.0)]  # fmt: skip
    text = write_report(write_sweep(rows)).read_text()
    assert "pays off after about 400 images compared with the same cell" in text
    (header,) = [line for line in text.splitlines() if "compilation pays off after (images)" in line]
    column = [cell.strip() for cell in header.split("|")].index("compilation pays off after (images)")
    cells = text.split(header)[1].split("\n\n")[0].splitlines()[2:]
    assert [line.split("|")[column].strip() for line in cells] == ["n/a", "400", "never"]


def test_what_reaches_the_target_soonest_is_told_with_and_without_the_first_step(write_sweep: Write) -> None:
    def training(index: int, time_s: float, first_step_s: float, **values: Any) -> dict[str, Any]:
        return row(index, workload="finetune", scenario=None, accuracy_best=0.97, target_accuracy=0.95,
                   time_to_target_s=time_s, first_step_s=first_step_s, **values)  # fmt: skip

    eager = [training(0, 2.0, 0.5), training(1, 1.5, 19.0, memory_format="channels_last")]
    compiled = training(2, 0.4, 43.0, compile="reduce-overhead", compile_s=42.9)
    text = write_report(write_sweep([*eager, compiled])).read_text()
    assert "soonest with cpu, fp32, batch 8, compile reduce-overhead: after 0.400 s of training." in text
    assert (
        "Its first step, including compilation, took 43.0 s: with first steps included, as long as they were in this sweep,"
        " 95 % held-out accuracy is reached soonest with cpu, fp32, batch 8, after 2.50 s." in text
    )
    quick = {**compiled, "first_step_s": 0.3, "compile_s": 0.2}
    told = write_report(write_sweep([*eager, quick], "quick")).read_text()
    assert "took 0.300 s; with that included it is still the soonest." in told
    assert "Its first step" not in write_report(write_sweep(eager, "eager")).read_text()


def test_trainings_that_reach_the_target_within_a_round_of_each_other_are_not_told_apart(write_sweep: Write) -> None:
    def told(name: str, *times_s: float) -> str:
        rows = [
            row(i, workload="finetune", scenario=None, batch_size=8 * (i + 1), accuracy_best=0.97, target_accuracy=0.95,
                time_to_target_s=time_s, measured_s=25.0, n_rounds=10)
            for i, time_s in enumerate(times_s)
        ]  # fmt: skip
        return write_report(write_sweep(rows, name)).read_text()

    assert "is reached with cpu, fp32, batch 8: after 12.0 s of training, statistically indistinguish" in told(
        "a", 12.0, 14.0
    )
    assert "is reached soonest with cpu, fp32, batch 8: after 12.0 s of training." in told("b", 12.0, 25.0)
