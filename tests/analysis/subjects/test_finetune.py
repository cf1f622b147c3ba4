"""What an accuracy takes, on hand-made rounds with known answers, and the page in every state of a sweep."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from analysis.cells.identity import with_identity
from analysis.page.command_line import run_main
from analysis.read.sweeps import load_all_rounds, load_sweeps
from analysis.subjects.finetune.page import main
from analysis.subjects.finetune.quantities import (
    Training,
    cheapest,
    cost_to,
    levels,
    most_accurate,
    share_of,
    trainings,
    wilson,
)
from tests.analysis.conftest import Write, row


def cell(index: int, **values: Any) -> dict[str, Any]:
    plain = {
        "workload": "finetune",
        "scenario": None,
        "tune": "full",
        "batch_size": 10,
        "target_accuracy": 0.9,
        "accuracy_best": 0.95,
        "n_heldout_items": 1000,
        "n_train_items": 100,
        "epochs_run": 0.4,
        "measured_s": 4.0,
    }
    return row(index, **{**plain, **values})


def rounds(index: int, accuracies: Sequence[float], seconds: float = 2.0, joules: float | None = None) -> list[Any]:
    """Rounds of ten images each, evaluated after each."""
    return [
        {"trial_key": f"k{index:03d}", "round": i, "elapsed_s": seconds * (i + 1), "seconds": seconds, "items": 10,
         "accuracy": a, "energy_j": joules}
        for i, a in enumerate(accuracies)
    ]  # fmt: skip


def found(folders: Sequence[Path]) -> list[Training]:
    return trainings(with_identity(load_sweeps(folders)), load_all_rounds(folders))


def page(folder: Path, *arguments: str) -> str:
    assert run_main(main, [str(folder), *arguments]) == 0
    return (folder / "report_finetune.md").read_text()


def two() -> tuple[list[dict[str, Any]], list[Any]]:
    """The first reaches 90 % after 6 s, 30 images and 90 J, the second after 4 s and 40 images."""
    rows = [cell(0, time_to_target_s=6.0), cell(1, device="gpu", time_to_target_s=4.0)]
    curves = [*rounds(0, [0.2, 0.5, 0.93, 0.97], joules=30.0), *rounds(1, [0.1, 0.3, 0.5, 0.91], seconds=1.0)]
    return rows, curves


def test_the_wilson_interval_is_that_of_scipy() -> None:
    shares = np.array([0.0, 0.1, 0.5, 0.97, 1.0])
    low, high = wilson(shares, 200)
    for share, a, b in zip(shares, low, high, strict=True):
        expected = stats.binomtest(round(share * 200), 200).proportion_ci(method="wilson")
        assert (a, b) == (pytest.approx(expected.low, abs=1e-9), pytest.approx(expected.high, abs=1e-9))
    assert share_of(0.5, None).low is None


def test_what_a_level_takes_in_time_images_and_joules(write_sweep: Write) -> None:
    rows, curves = two()
    cpu, gpu = found([write_sweep(rows, rounds=curves)])
    takes = {cost: cost_to(cpu, 0.9, cost) for cost in ("seconds", "items", "joules")}
    assert {cost: spent.value for cost, spent in takes.items() if spent} == {"seconds": 6, "items": 30, "joules": 90}
    assert cost_to(gpu, 0.9, "joules") is None, "its energy is unknown"
    assert cost_to(cpu, 0.98, "seconds") is None, "never reached"
    assert cost_to(cpu, 0.1, "seconds").value == 2  # type: ignore[union-attr]


def test_a_levels_interval_is_by_the_held_out_sample(write_sweep: Write) -> None:
    # Of 100 images 0.86 may be 0.91, so that the level may have been reached since the end of the round before;
    # 0.95 is certainly over 0.88 only, 0.99 is over 0.94.
    rows = [cell(0, n_heldout_items=100)]
    (training,) = found([write_sweep(rows, rounds=rounds(0, [0.5, 0.86, 0.91, 0.95, 0.99]))])
    spent = cost_to(training, 0.9, "seconds")
    assert spent is not None
    assert (spent.low, spent.value, spent.high) == (2, 6, 10)
    (training,) = found([write_sweep(rows, rounds=rounds(0, [0.5, 0.91]))])
    open_end = cost_to(training, 0.9, "seconds")
    assert open_end is not None
    assert (open_end.low, open_end.high) == (2, math.inf)
    (training,) = found([write_sweep(rows, rounds=rounds(0, [0.99]))])
    at_once = cost_to(training, 0.9, "seconds")
    assert at_once is not None
    assert (at_once.low, at_once.high) == (0, 2)


def test_joules_are_unknown_from_the_first_round_without_them(write_sweep: Write) -> None:
    curve = rounds(0, [0.5, 0.95, 0.99], joules=10.0)
    curve[2]["energy_j"] = None
    (training,) = found([write_sweep([cell(0)], rounds=curve)])
    assert cost_to(training, 0.9, "joules").value == 20  # type: ignore[union-attr]
    assert cost_to(training, 0.98, "joules") is None


def test_the_cheapest_and_the_most_accurate(write_sweep: Write) -> None:
    rows, curves = two()
    both = found([write_sweep(rows, rounds=curves)])
    assert {c: pick.training.label for c in ("seconds", "items", "joules") if (pick := cheapest(both, c))} == {
        "seconds": "gpu, fp32", "items": "cpu, fp32", "joules": "cpu, fp32",
    }  # fmt: skip
    best = most_accurate(both)
    assert best is not None
    assert (best.training.label, best.figure.value) == ("cpu, fp32", 0.97)
    assert levels(both) == [0.5, 0.8, 0.9, 0.95]


def test_rounds_belong_to_the_sweep_they_came_from(write_sweep: Write) -> None:
    one = write_sweep([cell(0)], "one", rounds=rounds(0, [0.5, 0.6]))
    again = write_sweep([cell(0)], "again", rounds=rounds(0, [0.7, 0.8]))
    assert [(t.label, t.best.value) for t in found([one, again])] == [
        ("cpu, fp32, one", 0.6), ("cpu, fp32, again", 0.8),
    ]  # fmt: skip


def test_head_and_full_are_settings_of_one_task(write_sweep: Write) -> None:
    rows = [cell(0), cell(1, tune="head")]
    assert [(t.task, t.label) for t in found([write_sweep(rows)])] == [("", "full, cpu, fp32"), ("", "head, cpu, fp32")]


def test_the_page_answers_first_with_figure_and_tables(write_sweep: Write) -> None:
    rows, curves = two()
    folder = write_sweep(rows, rounds=curves)
    text = page(folder)
    bullets = text.split("\n## ", 1)[0]
    assert (
        "**gpu, fp32** reaches the target of 90 % after 4.00 s of training, statistically indistinguishable from"
        in bullets
    )
    assert "takes 1.50x as long" in bullets
    assert (
        "The best held-out accuracy is 97.0 % with cpu, fp32, 95 % interval 95.7 to 97.9 for 1,000 held-out" in bullets
    )
    assert "To reach the target, cpu, fp32 takes 90.0 J." in bullets
    assert "| cpu, fp32 | 97.0 | 95.7 to 97.9 | 97.0 | 90 | 6.00 | 4.00 to 6.00 | 30.0 | 90.0 |" in text
    assert "## Cost of each accuracy: energy (J)" in text
    alt = r"!\[Held-out accuracy over training time \(s\), images and energy \(J\), of [^\]]*\]\(([^)]+)\)"
    (path,) = re.findall(alt, text)
    assert (folder / path).is_file()


def test_pruned_trainings_are_told_by_their_rounds(write_sweep: Write) -> None:
    rows = [cell(0), cell(1, batch_size=20, status="pruned", accuracy_best=None, target_accuracy=None, epochs_run=None)]
    text = page(write_sweep(rows, rounds=[*rounds(0, [0.5, 0.92]), *rounds(1, [0.3])]))
    assert re.search(r"\| cpu, fp32, batch 20 \| 30.0 \| .* \| 0.100 \| pruned \|", text)


@pytest.mark.parametrize(
    ("rows", "curve", "said"),
    [
        ([], [], "No cell finished training"),
        ([row(0)], [], "No cell finished training"),
        ([row(0, scenario="server", step_median_s=0.1)], [], "No cell finished training"),
        ([cell(0, status="crashed", accuracy_best=None)], [], "No cell finished training"),
        ([cell(0)], rounds(0, [0.5]), "No training run reached the target of 90 %"),
        ([cell(0, time_to_target_s=3.5)], [], "1 training run without rounds"),
        (
            [cell(0, target_accuracy=None, n_heldout_items=None)],
            rounds(0, [0.5, 0.6]),
            "reaches 60.0 % with cpu, fp32.",
        ),
        ([cell(0, host="a"), cell(1, host="b", batch_size=3)], rounds(0, [0.95]), "The cells come from 2 machines"),
    ],
    ids=["empty", "no training", "server", "all failed", "one cell", "no rounds", "no target", "two machines"],
)
def test_every_state_of_a_sweep_has_a_page(write_sweep: Write, rows: list[Any], curve: list[Any], said: str) -> None:
    text = page(write_sweep(rows, rounds=curve))
    assert text.startswith("# ")
    assert said in text
    assert not re.search(r"\bnan\b|\binf\b|None", text)


def test_an_older_schema_without_rounds_and_intervals_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    (folder / "trials").mkdir(parents=True)
    rows = [{"trial_key": "k", "status": "complete", "device": "cpu", "batch_size": 1, "precision": "fp32",
             "accuracy_best": 0.9, "time_to_target_s": 3.0, "target_accuracy": 0.85}]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "trials" / "part-0.parquet")
    text = page(folder)
    assert "**cpu, fp32** reaches the target of 85 % after 3.00 s of training." in text
    assert "Held-out accuracy reaches 90.0 % with cpu, fp32." in text


def test_what_learned_one_class_reaches_nothing_and_is_not_the_most_accurate(write_sweep: Write) -> None:
    """A row that says so, and one whose first rounds answered one class, as most do of unbalanced classes."""
    rows = [
        cell(0, learned="one class only", accuracy_best=0.97, time_to_target_s=2.0, energy_to_target_j=5.0),
        cell(1, device="gpu", accuracy_best=0.95),
    ]
    late = [{**r, "n_classes_answered": 1 + (r["round"] > 0)} for r in rounds(1, [0.97, 0.8, 0.95], joules=1.0)]
    folder = write_sweep(rows, rounds=[*rounds(0, [0.97, 0.97, 0.97], joules=1.0), *late])
    nothing, learned = found([folder])
    assert nothing.learned == "one class only"
    assert (cost_to(nothing, 0.5, "seconds"), most_accurate([nothing]), cheapest([nothing], "joules")) == (None,) * 3
    best = most_accurate([nothing, learned])
    assert best is not None
    assert best.training is learned
    assert learned.best.value == 0.95, "0.97 was one class"
    assert cost_to(learned, 0.9, "seconds").value == 6.0  # type: ignore[union-attr]
    assert main([str(folder)]) == 0
    text = (folder / "report_finetune.md").read_text()
    assert "reaches the target of 90 % after 6.00 s" in text
    assert "learned one class only |" in text
    without = load_sweeps([folder])
    assert without["time_to_target_s"].isna().all()
