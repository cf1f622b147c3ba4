"""Precisions against fp32 on hand-made rows with known answers, and the page in every state of a sweep."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.cells.identity import with_identity
from analysis.page.command_line import run_main
from analysis.read.sweeps import load_sweeps
from analysis.stats.estimate import Figure, geometric_mean
from analysis.subjects.precision.page import main
from analysis.subjects.precision.quantities import COLUMNS, Pair, overviews, pairs, unequal_outcomes
from tests.analysis.conftest import Write, row


def cell(index: int, precision: str, rate: float, batch: int = 8, half: float = 0.01, **values: Any) -> dict[str, Any]:
    return row(index, precision=precision, batch_size=batch, throughput_items_per_s=rate,
               throughput_low_items_per_s=rate * (1 - half), throughput_high_items_per_s=rate * (1 + half),
               **values)  # fmt: skip


def two_batches() -> list[dict[str, Any]]:
    """bf16 is 2 and 8x the speed as fp32, takes half and an eighth of the memory, and is less exact."""
    close = {"max_abs_diff": 1e-5, "max_softmax_diff": 1e-6, "top1_agreement_ratio": 1.0, "reference": "cpu fp64"}
    rough = {"max_abs_diff": 0.2, "max_softmax_diff": 0.03, "top1_agreement_ratio": 0.75, "reference": "cpu fp64"}
    return [
        cell(0, "fp32", 100, device_held_before_bytes=0, device_peak_allocated_bytes=800, energy_per_item_j=4.0, **close),
        cell(1, "fp32", 200, 64, device_held_before_bytes=0, device_peak_allocated_bytes=8000, energy_per_item_j=2.0, **close),
        cell(2, "bf16", 200, device_held_before_bytes=0, device_peak_allocated_bytes=400, energy_per_item_j=2.0, **rough),
        cell(3, "bf16", 1600, 64, device_held_before_bytes=0, device_peak_allocated_bytes=1000, energy_per_item_j=0.25,
             **{**rough, "top1_agreement_ratio": 0.9921875}),
    ]  # fmt: skip


def found(rows: Sequence[dict[str, Any]], write_sweep: Write) -> list[Pair]:
    return pairs(with_identity(load_sweeps([write_sweep(rows)], COLUMNS)))


def page(folder: Path, *arguments: str) -> str:
    assert run_main(main, [str(folder), *arguments]) == 0
    return (folder / "report_precision.md").read_text()


def test_a_geometric_mean_takes_its_interval_from_the_figures_own() -> None:
    figures = [Figure(value=v, low=v * math.exp(-0.3), high=v * math.exp(0.4)) for v in (2.0, 8.0)]
    mean = geometric_mean(figures)
    assert mean.value == pytest.approx(4)
    assert mean.low == pytest.approx(4 * math.exp(-0.3 / math.sqrt(2)))
    assert mean.high == pytest.approx(4 * math.exp(0.4 / math.sqrt(2)))
    assert geometric_mean([]).value is None
    assert geometric_mean([Figure(value=2.0), Figure(value=8.0, low=7.0, high=9.0)]).low is None


def test_each_cell_is_paired_with_fp32_of_the_same_cell(write_sweep: Write) -> None:
    small, large = found(two_batches(), write_sweep)
    assert (small.precision, small.batch_size, small.speed.value) == ("bf16", 8, pytest.approx(2))
    assert (large.batch_size, large.speed.value) == (64, pytest.approx(8))
    off = math.hypot(math.log(1.01), math.log(0.99))
    assert small.speed.low == pytest.approx(2 / math.exp(off))
    assert (small.memory, large.memory) == (0.5, 0.125)
    assert (small.energy, large.energy) == (0.5, 0.125)


def test_the_overview_has_the_geometric_mean_the_best_and_the_worst_agreement(write_sweep: Write) -> None:
    (seen,) = overviews(found(two_batches(), write_sweep))
    assert (seen.place, seen.precision, seen.n_cells) == ("cpu", "bf16", 2)
    assert seen.speed.value == pytest.approx(4)
    assert (seen.slowest, seen.fastest) == (pytest.approx(2), pytest.approx(8))
    assert seen.best.value == pytest.approx(8)
    assert (seen.memory, seen.energy) == (pytest.approx(0.25), pytest.approx(0.25))
    assert seen.worst == {"max_abs_diff": 0.2, "max_softmax_diff": 0.03, "top1_agreement_ratio": 0.75}
    assert seen.base_worst == {"max_abs_diff": 1e-5, "max_softmax_diff": 1e-6, "top1_agreement_ratio": 1.0}


def test_the_best_of_each_counts_batches_that_only_one_precision_ran(write_sweep: Write) -> None:
    rows = [*two_batches(), cell(4, "bf16", 2000, 128)]
    rows.append(row(5, batch_size=128, status="oom", status_reason="out | of memory", throughput_items_per_s=None))
    all_pairs = found(rows, write_sweep)
    (seen,) = overviews(all_pairs)
    assert seen.n_cells == 2
    assert seen.best.value == pytest.approx(10)
    (unequal,) = unequal_outcomes(all_pairs)
    assert (unequal.batch_size, unequal.row["status"], unequal.base["status"]) == (128, "complete", "oom")


def test_cells_that_differ_in_more_than_the_precision_are_no_pair(write_sweep: Write) -> None:
    rows = [cell(0, "fp32", 100), cell(1, "bf16", 200, memory_format="channels_last"), cell(2, "bf16", 200, 16),
            cell(3, "bf16", 200, device="gpu"), cell(4, "bf16", 1, model="other")]  # fmt: skip
    assert found(rows, write_sweep) == []
    assert "4 cells in another precision left out, as the same cell in fp32 is missing." in page(write_sweep(rows))


def test_machines_are_paired_each_with_its_own_fp32(write_sweep: Write) -> None:
    one = write_sweep([cell(0, "fp32", 100), cell(1, "bf16", 50)], "mac")
    two = write_sweep([cell(0, "fp32", 10, host="h2"), cell(1, "bf16", 30, host="h2")], "work")
    seen = overviews(pairs(with_identity(load_sweeps([one, two], COLUMNS))))
    assert {o.place: o.speed.value for o in seen} == {
        "cpu, mac": pytest.approx(0.5), "cpu, work": pytest.approx(3),
    }  # fmt: skip


def test_a_server_under_a_given_load_is_judged_by_its_latency(write_sweep: Write) -> None:
    given: dict[str, Any] = {"scenario": "server", "rate_per_s": 5.0, "step_median_s": None}
    rows = [{**row(i, precision=p, latency_p50_s=s), **given, "throughput_items_per_s": 5.0}
            for i, (p, s) in enumerate((("fp32", 0.3), ("bf16", 0.1)))]  # fmt: skip
    (pair,) = found(rows, write_sweep)
    assert pair.speed.value == pytest.approx(3)
    text = page(write_sweep(rows))
    assert "ratio of the median latencies" in text
    assert "3.00x the speed of fp32** (one cell)" in text


def test_the_page_answers_first_with_figure_and_tables(write_sweep: Write) -> None:
    folder = write_sweep(two_batches())
    text = page(folder)
    first = text.splitlines()[2]
    assert first.startswith(
        "- **bf16 on cpu runs at 4.00x (3.96 to 4.04) the speed of fp32** (2 cells, 2.00x to 8.00x) and uses 0.250x"
    )
    assert "with each at its best batch size, it runs at 8.0" in first
    assert "the cpu fp64 for 75.00 % of the items or more, and class probabilities differ by at most 0.0300" in first
    assert "| 0.200 | 0.0000100 | 0.0300 | 1.00e-06 | 75.00 | 100.00 |" in text
    (path,) = re.findall(r"!\[[^\]]*speed, peak memory, energy per item and largest softmax[^\]]*\]\(([^)]+)\)", text)
    assert (folder / path).is_file()


def test_finetuning_tells_what_accuracy_a_precision_gains_or_loses(write_sweep: Write) -> None:
    rows = [cell(i, p, 100, workload="finetune", scenario=None, tune="head", accuracy_best=a)
            for i, (p, a) in enumerate((("fp32", 0.95), ("bf16", 0.925)))]  # fmt: skip
    text = page(write_sweep(rows))
    assert "accuracy gained (points)" in text
    assert "| -2.5 |" in text


def test_what_failed_in_one_precision_is_told_with_its_reason(write_sweep: Write) -> None:
    rows = two_batches()
    rows[3] |= {"status": "unsupported", "status_reason": "no <b>kernel</b>", "throughput_items_per_s": None}
    text = page(write_sweep(rows), "--html")
    assert "| cpu | 64 | bf16 | unsupported | complete | no &lt;b&gt;kernel&lt;/b&gt; |" in text
    assert "(one cell)" in text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "nothing to compare"),
        ([cell(0, "fp32", 100)], "nothing to compare"),
        ([row(i, precision=p, status="crashed", throughput_items_per_s=None) for i, p in enumerate(("fp32", "bf16"))],
         "nothing to compare"),
        ([row(0), row(1, precision="bf16", throughput_low_items_per_s=None)], "bf16 on cpu runs at 1.00x "),
        ([row(0), row(1, precision="bf16", status="pruned")], "bf16 on cpu runs at 1.00x "),
    ],
    ids=["empty", "one cell", "all failed", "no interval", "pruned"],
)  # fmt: skip
def test_every_state_of_a_sweep_has_a_page(write_sweep: Write, rows: list[dict[str, Any]], said: str) -> None:
    text = page(write_sweep(rows))
    assert text.startswith("# ")
    assert said in text
    assert not re.search(r"\bnan\b|None", text)


def test_one_batch_size_is_drawn_over_the_precisions_however_many_settings_there_are(write_sweep: Write) -> None:
    rows = [cell(i, p, 100, learning_rate=float(i // 3 + 1), max_softmax_diff=1e-3)
            for i, p in enumerate(("fp32", "bf16", "fp16") * 12)]  # fmt: skip
    folder = write_sweep(rows)
    text = page(folder)
    assert "Figures show the first 8 lines on the first 3 devices; the tables have the rest." in text
    assert text.count("| fp16 | 8 |") == 12
    assert (folder / "figures" / "precision.png").is_file()


def test_settings_that_go_without_saying_have_no_name(write_sweep: Write) -> None:
    rows = [cell(2 * i + j, p, 100, memory_format=f)
            for i, f in enumerate(("contiguous", "channels_last")) for j, p in enumerate(("fp32", "bf16"))]  # fmt: skip
    assert [pair.line for pair in found(rows, write_sweep)] == ["bf16", "bf16, channels_last"]


def test_an_older_schema_without_agreement_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    (folder / "trials").mkdir(parents=True)
    rows = [{"trial_key": p, "status": "complete", "device": "cpu", "batch_size": 1, "precision": p,
             "throughput_items_per_s": rate} for p, rate in (("fp32", 10.0), ("bf16", 20.0))]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "trials" / "part-0.parquet")
    text = page(folder)
    assert "bf16 on cpu runs at 2.00x the speed of fp32** (one cell)." in text
    assert "top-1" not in text


@pytest.mark.usefixtures("undrawn")
def test_tasks_without_a_figure_are_told(write_sweep: Write) -> None:
    pairs_of = [
        [cell(2 * i, "fp32", 100, model=f"m{i}"), cell(2 * i + 1, "bf16", 200, model=f"m{i}")] for i in range(14)
    ]
    text = page(write_sweep([one for pair in pairs_of for one in pair]))
    assert text.count("![") == 12
    assert "2 more figures left out: their numbers are in the table." in text


def test_peaks_of_older_sweeps_no_further_apart_than_a_workspace_are_not_divided(write_sweep: Write) -> None:
    mib = 2**20
    rows = [cell(0, "fp32", 100, device_peak_allocated_bytes=110 * mib),
            cell(1, "bf16", 200, device_peak_allocated_bytes=64 * mib)]  # fmt: skip
    assert [pair.memory for pair in found(rows, write_sweep)] == [None], "46 MiB are what cuBLAS and cuDNN take once"
    rows = [{**one, "device_held_before_bytes": 46 * mib} for one in rows]
    assert [pair.memory for pair in found(rows, write_sweep)] == [pytest.approx(64 / 110)]
