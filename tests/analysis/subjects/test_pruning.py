"""What pruning saved and searches found, on hand-made rows with known answers, and the page in every state."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.cells.identity import with_identity
from analysis.page.command_line import run_main
from analysis.read.sweeps import load_sweeps
from analysis.subjects.pruning.page import main
from analysis.subjects.pruning.quantities import COLUMNS, Cell, Study, may_be_best, progress, saving, studies, total
from analysis.subjects.pruning.searches import Search, batch_searches, searches
from tests.analysis.conftest import Write, row

AGAINST = "best 100 items/s of cpu fp32 batch 4"


def cell(index: int, rate: float = 100.0, **values: Any) -> dict[str, Any]:
    """A complete cell of the study "s cpu fp32", its throughput's interval 1 % to each side."""
    plain = {"batch_size": 2**index, "throughput_items_per_s": rate, "throughput_low_items_per_s": rate * 0.99,
             "throughput_high_items_per_s": rate * 1.01, "study_name": "s cpu fp32", "study_trial": index,
             "measured_s": 10.0, "wall_s": 15.0}  # fmt: skip
    return row(index, **{**plain, **values})


def pruned(index: int, rate: float = 40.0, measured_s: float = 2.0, **values: Any) -> dict[str, Any]:
    plain = {
        "status": "pruned",
        "pruned_at_round": 1,
        "pruned_on": "throughput",
        "pruned_against": AGAINST,
        "wall_s": 6.0,
    }
    return cell(index, rate, **{**plain, "measured_s": measured_s, **values})


def rounds(index: int, rates: Sequence[float], **values: Any) -> list[dict[str, Any]]:
    return [{"trial_key": f"k{index:03d}", "round": i, "elapsed_s": i + 1.0, "seconds": 2.0, "items": 8,
             "throughput_items_per_s": rate, **values} for i, rate in enumerate(rates)]  # fmt: skip


def sweep(write_sweep: Write, rows: Sequence[dict[str, Any]], name: str = "s", config: Any = None, **more: Any) -> Path:
    folder = write_sweep(rows, name, **more)
    description = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps({**description, "config": config or {}}))
    return folder


def frame_of(*folders: Path) -> pd.DataFrame:
    return with_identity(load_sweeps(folders, COLUMNS))


def found(*folders: Path) -> list[Study]:
    return studies(frame_of(*folders))


def page(folder: Path, *arguments: str) -> str:
    assert run_main(main, [str(folder), *arguments]) == 0
    return (folder / "report_pruning.md").read_text()


def test_the_saving_is_by_the_median_complete_cell_of_the_study(write_sweep: Write) -> None:
    rows = [cell(0, measured_s=8.0, wall_s=9.0), cell(1, measured_s=10.0, wall_s=14.0), cell(2, measured_s=12.0),
            pruned(3, measured_s=2.0), pruned(4, measured_s=3.0), row(5, status="oom", study_name="s cpu fp32")]  # fmt: skip
    (study,) = found(sweep(write_sweep, rows))
    s = saving(study)
    assert (len(study.cells), len(study.complete), len(study.pruned)) == (6, 3, 2)
    assert (s.typical.value, s.typical.low, s.typical.high) == (10, 8, 12)
    assert (s.spent_s, s.whole_s) == (5, 30)
    assert (s.saved.value, s.saved.low, s.saved.high) == (2 * 10 - 5, 2 * 8 - 5, 2 * 12 - 5)
    assert s.share == pytest.approx(15 / 50)
    assert saving(study, "wall_s").saved.value == 2 * 14 - 12


def test_a_pruned_cell_that_took_longer_counts_against_the_saving(write_sweep: Write) -> None:
    (study,) = found(sweep(write_sweep, [cell(0, measured_s=1.0), pruned(1, measured_s=4.0)]))
    assert saving(study).saved.value == -3
    assert "pruning cost **3.00 s**" in page(sweep(write_sweep, [cell(0, measured_s=1.0), pruned(1, measured_s=4.0)]))


def test_each_study_has_its_own_median_and_the_total_is_their_sum(write_sweep: Write) -> None:
    other = {"study_name": "s gpu fp32", "device": "gpu"}
    rows = [cell(0), pruned(1), cell(2, measured_s=1.0, **other), pruned(3, measured_s=0.5, **other),
            pruned(4, study_name="lonely", device="npu")]  # fmt: skip
    by_name = {study.name: saving(study) for study in found(sweep(write_sweep, rows))}
    assert {name: s.saved.value for name, s in by_name.items()} == {
        "s cpu fp32": 8, "s gpu fp32": 0.5, "lonely": None,
    }  # fmt: skip
    sums = total(list(by_name.values()))
    assert (sums.saved.value, sums.spent_s, sums.whole_s) == (8.5, 4.5, 11)


def test_studies_of_one_name_in_two_sweeps_are_two(write_sweep: Write) -> None:
    one = sweep(write_sweep, [cell(0), pruned(1)], "one")
    two = sweep(write_sweep, [cell(0, measured_s=100.0), pruned(1)], "two")
    assert [(s.name, saving(s).saved.value) for s in found(one, two)] == [
        ("s cpu fp32, one", 8), ("s cpu fp32, two", 98),
    ]  # fmt: skip


def test_cells_without_a_study_are_put_together_by_task_device_and_precision(write_sweep: Write) -> None:
    rows = [cell(0, study_name=None), pruned(1, study_name=None), cell(2, study_name=None, precision="bf16")]
    assert [(s.name, len(s.cells)) for s in found(sweep(write_sweep, rows))] == [
        ("inference, single-stream, m, cpu, fp32", 2), ("inference, single-stream, m, cpu, bf16", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("rate", "expected"), [(40.0, False), (97.5, False), (98.5, True), (120.0, True)])
def test_a_pruned_cell_may_be_the_best_if_its_interval_reaches_it(
    write_sweep: Write, rate: float, expected: bool
) -> None:
    (study,) = found(sweep(write_sweep, [cell(0, 100.0), cell(1, 50.0), pruned(2, rate)]))
    assert may_be_best(study, study.pruned[0]) is expected


def test_whether_it_may_be_the_best_is_unknown_without_intervals(write_sweep: Write) -> None:
    rows = [cell(0), pruned(1, throughput_low_items_per_s=None), pruned(2, pruned_on="accuracy")]
    (study,) = found(sweep(write_sweep, rows))
    assert [may_be_best(study, c) for c in study.pruned] == [None, None]
    slow = [cell(0, step_median_s=1.0), pruned(1, step_median_s=2.0, pruned_on="latency"),
            pruned(2, step_median_s=1.01, pruned_on="latency")]  # fmt: skip
    (study,) = found(sweep(write_sweep, slow))
    assert [may_be_best(study, c) for c in study.pruned] == [False, True]


def test_progress_is_what_the_pruner_was_told(write_sweep: Write) -> None:
    one = Cell(label="x", row={"items_per_step": 4.0})
    seen = pd.DataFrame(rounds(0, [10.0, 30.0, 20.0], accuracy=0.5, energy_j=16.0))
    assert progress(one, seen, "throughput") == {1: 10, 2: 30, 3: 30}, "the best round so far, not the median"
    assert progress(one, seen.assign(seconds=[4.0, 1.0, 2.0]), "latency") == {1: 2, 2: 0.5, 3: 0.5}
    assert progress(one, seen.assign(energy_j=[8.0, None, 24.0]), "energy_per_item") == {1: 1, 3: 2}
    assert progress(one, seen.assign(accuracy=[0.1, 0.9, 0.5]), "accuracy") == {1: 0.1, 2: 0.9, 3: 0.5}
    assert progress(one, seen, "something else") == {}
    paired = Cell(label="x", row={"items_per_step": 4.0, "pruner": "wilcoxon"})
    assert progress(paired, seen, "throughput") == {1: 10, 2: 30, 3: 20}, "its test pairs single rounds"


def test_a_pruned_cells_figure_is_that_which_its_pruner_judged(write_sweep: Write) -> None:
    curves = [*rounds(0, [100.0] * 3), *rounds(1, [10.0, 41.0, 12.0])]
    for pruner, told in (("median", "41.00"), ("wilcoxon", "12.00")):
        config = {"pruning": {"pruner": pruner, "prune_on": "throughput"}}
        text = page(sweep(write_sweep, [cell(0), pruned(1, pruned_at_round=2)], pruner, config, rounds=curves))
        assert f"| 3 | {told} items/s |" in text


def asked(*objectives: str, n_trials: int = 6) -> dict[str, Any]:
    return {"search": {"sampler": "tpe", "n_trials": n_trials, "objectives": list(objectives)}}


def the_search(folder: Path) -> Search:
    (one,) = searches(frame_of(folder), {"s": json.loads((folder / "sweep.json").read_text())})
    return one


def test_the_front_is_of_complete_cells_that_hold_the_limits(write_sweep: Write) -> None:
    rows = [
        cell(0, 100, step_median_s=1.0), cell(1, 200, step_median_s=2.0), cell(2, 150, step_median_s=3.0),
        cell(3, 300, step_median_s=0.5, peak_rss_bytes=3 * 10**9), pruned(4, 400, step_median_s=0.1),
        cell(5, 150, step_median_s=1.5),
    ]  # fmt: skip
    config = {**asked("throughput", "latency"), "limits": {"max_memory_gb": 2.0}}
    search = the_search(sweep(write_sweep, rows, config=config))
    assert search.front.tolist() == [True, True, False, False, False, True]
    assert search.limits.asked
    text = page(sweep(write_sweep, rows, config=config))
    assert "found **3 cells on the Pareto front**, of 4 complete within the limits." in text
    front = [line for line in text.split("## The search of", 1)[1].splitlines() if line.startswith("| batch")]
    assert front == [
        "| batch 2 | 200 | 2,000 | 1 |", "| batch 32 | 150 | 1,500 | 5 |", "| batch 1 | 100 | 1,000 | 0 |",
    ]  # fmt: skip


def test_one_objective_has_the_best_and_its_history(write_sweep: Write) -> None:
    folder = sweep(write_sweep, [cell(i, r) for i, r in enumerate((10, 30, 20))], config=asked("throughput"))
    text = page(folder)
    assert "(tpe, 3 of 6 cells) for throughput found the best with **batch 2**: throughput 30.0 items/s." in text
    assert "cells are missing" not in text, "a search may end early with every cell of its space known"
    (path,) = re.findall(r"!\[Search of [^\]]*of each trial and the best so far\]\(([^)]+)\)", text)
    assert (folder / path).is_file()


def test_a_search_of_three_objectives_or_without_complete_cells_has_a_page(write_sweep: Write) -> None:
    three = asked("throughput", "energy_per_item", "memory")
    rows = [cell(i, 10.0 * i + 10, energy_per_item_j=i + 1.0) for i in range(3)]
    assert "3 cells on the Pareto front" in page(sweep(write_sweep, rows, config=three))
    failed = [row(0, status="crashed", study_name="s", throughput_items_per_s=None)]
    assert "has no complete cell." in page(sweep(write_sweep, failed, "failed", config=three))


def test_batch_searches_tell_the_fastest_and_the_largest(write_sweep: Write) -> None:
    rows = [cell(0, 10, search_role="probe"), cell(1, 30, search_role="fastest"), cell(2, 20, search_role="largest"),
            cell(3, search_role="probe", status="oom", throughput_items_per_s=None, measured_s=None),
            cell(4, 50, search_role="fastest and largest", precision="bf16"),
            cell(5, 60, search_role="probe", precision="fp16")]  # fmt: skip
    rows = [{**r, "study_name": None} for r in rows]
    folder = sweep(write_sweep, rows)
    fp32, bf16, fp16 = batch_searches(frame_of(folder))
    assert (fp32.label, fp32.smallest_oom, fp32.measured_s) == ("cpu, fp32", 8, 30)
    assert fp32.fastest is not None
    assert fp32.largest is not None
    assert (fp32.fastest["batch_size"], fp32.largest["batch_size"]) == (2, 4)
    assert bf16.fastest is bf16.largest is not None
    assert fp16.fastest is None
    text = page(folder)
    assert (
        "cpu, fp32: the fastest batch size is **2** (30.0 items/s), the largest that ran is 4; 8 ran out of memory."
        in text
    )
    assert "cpu, fp16: the search for the batch size did not finish." in text
    assert "looked on" not in text, "nothing could have been pruned"
    assert "| cpu, fp32 | 2 | 30.0 |" in text
    assert (folder / "figures" / "batch-sizes.png").is_file()


def test_the_page_answers_first_with_figure_and_tables(write_sweep: Write) -> None:
    curves = [*rounds(0, [100.0] * 5), *rounds(1, [90.0, 95.0, 92.0]), *rounds(2, [39.0, 41.0])]
    folder = sweep(write_sweep, [cell(0), cell(1, 92.0), pruned(2)], rounds=curves)
    text = page(folder)
    first = text.splitlines()[2]
    assert "**1 of 3 cells was pruned** after 2 rounds, with 2.00 s of measurement spent on them" in first
    assert "pruning saved **8.00 s** (8.00 to 8.00 s), 27 % of the measurement time" in first
    assert "9.00 s if whole cells are counted" in first
    assert "No sign that one of them would have been the best: the one known interval does not reach" in text
    assert f"| s cpu fp32 | batch 4 | {AGAINST} | 2 | 41.00 items/s | 2.00 | 8.00 | no |" in text
    (path,) = re.findall(r"!\[Pruning of [^\]]*throughput after each round and seconds[^\]]*\]\(([^)]+)\)", text)
    assert (folder / path).is_file()


def test_accuracy_is_told_by_the_last_round(write_sweep: Write) -> None:
    rows = [cell(0), pruned(1, pruned_on="accuracy", pruned_at_round=0, pruned_against="best 0.9")]
    curves = [*rounds(0, [1.0, 1.0], accuracy=0.9), *rounds(1, [1.0], accuracy=0.25)]
    assert "| best 0.9 | 1 | 25.0 % |" in page(sweep(write_sweep, rows, rounds=curves))


def test_a_pruner_that_gave_nothing_up_is_said(write_sweep: Write) -> None:
    config = {"pruning": {"pruner": "median", "prune_on": "throughput"}}
    text = page(sweep(write_sweep, [cell(0), cell(1)], config=config))
    assert (
        "No cell was pruned, although the median pruner on throughput judged them: none of 2 cells was stopped early."
        in text
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "No cell is complete"),
        ([row()], "Pruning was off: none of 1 cell was stopped early."),
        ([row(status="crashed", throughput_items_per_s=None)], "Pruning was off"),
        ([row(scenario="server", rate_per_s=5.0, step_median_s=0.1)], "Pruning was off"),
        ([pruned(0)], "unknown, as no cell of their studies is complete"),
        ([cell(0), pruned(1, measured_s=None, wall_s=None)], "unknown, as their rows have no times"),  # type: ignore[arg-type]
        ([cell(0, host="a"), pruned(1, host="b")], "The cells come from 2 machines"),
    ],
    ids=["empty", "one cell", "all failed", "server", "all pruned", "no times", "two machines"],
)
def test_every_state_of_a_sweep_has_a_page(write_sweep: Write, rows: list[dict[str, Any]], said: str) -> None:
    for r in rows:
        if r["scenario"] == "server":
            r["step_median_s"] = r["step_median_low_s"] = r["step_median_high_s"] = None
    text = page(sweep(write_sweep, rows))
    assert text.startswith("# ")
    assert said in text
    assert not re.search(r"\bnan\b|None(?! of)", text)


def test_an_older_schema_without_studies_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    (folder / "trials").mkdir(parents=True)
    rows = [{"trial_key": f"k{i}", "status": status, "device": "cpu", "batch_size": i + 1, "precision": "fp32",
             "throughput_items_per_s": 10.0, "measured_s": 4.0 - 3 * i} for i, status in enumerate(("complete", "pruned"))]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "trials" / "part-0.parquet")
    text = page(folder)
    assert "**1 of 2 cells was pruned**, with 1.00 s of measurement spent on them" in text
    assert "pruning saved **3.00 s**" in text
