"""The coverage report on hand-made rows, written as real Parquet in the schema that sweeps write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.read.sweep import AnalysisError
from analysis.subjects.coverage.load import load_coverage
from analysis.subjects.coverage.page import build, write_coverage_report
from sweeps.coverage.store import DESCRIPTION
from sweeps.store.operation_columns import OPERATIONS, VERDICTS
from tests.analysis.subjects.filled import operation as row
from tests.analysis.subjects.filled import write_operations as write

WRONG = {"verdict": "wrong", "max_abs_diff": 3.0, "tolerance_ratio": 300.0, "n_wrong": 2}
ROWS = [
    row("relu"),
    row("relu", direction="backward"),
    row("relu", dtype="fp16"),
    row("svd", family="linear algebra", verdict="unsupported", reason="no kernel | for svd"),
    row("svd", family="linear algebra", dtype="fp16", verdict="unsupported", reason="no kernel | for svd"),
    row("cumsum", verdict="fallback", reason="aten::cumsum ran on the CPU"),
    row("histc", **WRONG, wrong_by="values", rounding_units=900.0),
    row("softmax", dtype="fp16", **WRONG, wrong_by="rounding", rounding_units=2.0),
    row("eig", verdict="crashed", reason="SIGSEGV"),
    row("solve", verdict="timeout", reason="over 60 s"),
]


def section(report: str, heading: str) -> str:
    return report.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.fixture
def report(tmp_path: Path) -> str:
    return build(load_coverage(write(tmp_path / "one", ROWS)))


def test_every_verdict_is_counted_and_wrong_is_split_by_what_explains_it(report: str) -> None:
    counts = section(report, "How many work")
    heads = [c.strip() for c in counts.splitlines()[1].split("|")[1:-1]]
    forward = [c.strip() for c in counts.splitlines()[3].split("|")[1:-1]]
    found = dict(zip(heads, forward, strict=True))
    assert (found["dtype"], found["direction"], found["all"]) == ("fp32", "forward", "6")
    assert {found[n] for n in ("supported", "fallback", "unsupported", "wrong values", "crashed", "timeout")} == {"1"}
    assert found["wrong by rounding"] == "0"


def test_the_matrix_counts_what_works_per_family_and_type(report: str) -> None:
    matrix = section(report, "gpu, forward: operations that work, of those run")
    assert "| elementwise | database | 1/5 | 2/2 |" in matrix
    assert "| linear algebra | database | 0/1 | 0/1 |" in matrix
    assert "**1/6** | **2/3**" in matrix


def test_what_does_not_work_is_listed_once_with_its_types_and_its_reason(report: str) -> None:
    unsupported = section(report, "What is unsupported")
    assert unsupported.count("svd | linear algebra") == 1
    assert "forward: fp32 fp16 | no kernel \\| for svd |" in unsupported
    assert "eig | elementwise | crashed | forward: fp32 | SIGSEGV" in section(report, "What crashes or hangs")
    assert "aten::cumsum ran on the CPU" in section(report, "What falls back to the CPU")


def test_wrong_values_and_rounding_have_lists_of_their_own(report: str) -> None:
    wrong, rounding = section(report, "What is wrong"), section(report, "What is off by rounding")
    assert "| histc | fp32 | forward | 3.00 | 300 | 900 | 2/4 |" in wrong
    assert "softmax" not in wrong
    assert "softmax" in rounding


def test_where_the_device_overtakes_the_cpu_is_told_by_family(tmp_path: Path) -> None:
    timed = {"timing_elements": [10, 1000], "timing_device_s": [2.0, 1.0], "timing_cpu_s": [1.0, 4.0]}
    slow = {"timing_elements": [10, 1000], "timing_device_s": [2.0, 8.0], "timing_cpu_s": [1.0, 4.0]}
    rows = [row("relu", **timed, overtakes_at_elements=1000), row("sort", **slow)]
    report = build(load_coverage(write(tmp_path / "one", rows)))
    told = section(report, "Where the device overtakes the CPU")
    assert "| gpu | fp32 | elementwise | 1/2 | 1,000 | 2.25 |" in told
    assert "| gpu | sort | fp32 | 1,000 | 2.00 |" in told
    none_slower = section(build(load_coverage(write(tmp_path / "two", rows[:1]))), "Where the device overtakes the CPU")
    assert none_slower.rstrip().endswith("### Slower than the CPU at the largest size timed\n\nNone.")


def test_against_another_result_tells_what_is_new_broken_faster_and_slower(tmp_path: Path) -> None:
    def at(seconds: float) -> dict[str, Any]:
        return {"timing_elements": [10, 1000], "timing_device_s": [1.0, seconds]}

    before = [row("a", verdict="unsupported", reason="no kernel"), row("b"), row("c", **at(4.0)), row("d", **at(1.0)),
              row("e", **at(1.0)), row("gone")]  # fmt: skip
    now = [row("a"), row("b", verdict="crashed", reason="SIGABRT"), row("c", **at(1.0)), row("d", **at(4.0)),
           row("e", **at(1.1)), row("new")]  # fmt: skip
    old = write(tmp_path / "old", [{**r, "torch_version": "2.14"} for r in before])
    report = build(load_coverage(write(tmp_path / "now", now)), load_coverage(old))
    assert "torch 2.14 before, 2.15 now. 5 rows are in both, 1 only in this result and 1 only in the other." in report
    parts = {p.split(":", 1)[0]: p.split("\n## ", 1)[0] for p in report.split("### ")[1:]}
    assert "| gpu | a | fp32 | forward | unsupported | supported | no kernel |" in parts["Newly supported"]
    assert "| gpu | b | fp32 | forward | supported | crashed | SIGABRT |" in parts["Newly broken"]
    assert "| gpu | c | fp32 | 1,000 | 4.00 |" in parts["Faster"]
    assert "| gpu | d | fp32 | 1,000 | 4.00 |" in parts["Slower"]
    assert not any("| e |" in part for part in parts.values())


def test_rounding_that_becomes_wrong_values_is_newly_broken(tmp_path: Path) -> None:
    old = write(tmp_path / "old", [row("a", **WRONG, wrong_by="rounding", rounding_units=2.0)])
    now = write(tmp_path / "now", [row("a", **WRONG, wrong_by="values", rounding_units=99.0)])
    assert "### Newly broken: 1" in build(load_coverage(now), load_coverage(old))


def test_a_part_written_later_holds_over_the_joined_rows(tmp_path: Path) -> None:
    rows = [row("a", verdict="crashed"), row("a", direction="backward"), row("b")]
    sweep = write(tmp_path / "one", rows, cells=[{"operation": "a"}, {"operation": "b"}])
    part = pa.Table.from_pylist([row("a")], schema=OPERATIONS)
    pq.write_table(part, sweep / "operations" / "part-a.parquet")
    (sweep / "operations" / "part-broken.parquet").write_bytes(b"not Parquet")
    frame = load_coverage(sweep)
    assert sorted(zip(frame["operation"], frame["verdict"], strict=True)) == [("a", "supported"), ("b", "supported")]
    assert frame.attrs["unreadable"] == ["part-broken.parquet"]
    assert "cells" not in frame.attrs["description"], "pandas would copy the whole list with every operation"


def test_an_unfinished_sweep_and_a_missing_source_are_said(tmp_path: Path) -> None:
    sweep = write(tmp_path / "one", [row("a")], n_cells=3, missing_sources={"database": "torch 9 lacks it"})
    report = build(load_coverage(sweep))
    assert "The sweep is not finished: 2 cells of 3 missing." in report
    assert "Left out: database: torch 9 lacks it." in report


def test_the_latest_sweep_of_a_results_folder_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "2026-01", [row("old")])
    write(tmp_path / "2026-02", [row("new")])
    assert list(load_coverage(tmp_path)["operation"]) == ["new"]


def test_a_folder_without_coverage_is_told(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="contains no coverage sweep"):
        load_coverage(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="schema version 99"):
        load_coverage(write(tmp_path / "one", [row()], schema_version=99))


def test_the_page_is_written_beside_the_results_or_where_it_is_told(tmp_path: Path) -> None:
    sweep = write(tmp_path / "one", ROWS)
    assert write_coverage_report(sweep) == sweep / "report_coverage.md"
    page = write_coverage_report(sweep, tmp_path / "deep" / "page.md", html=True)
    assert page.read_text().startswith("<!doctype html>")


def test_every_verdict_of_the_schema_is_known_to_the_report() -> None:
    assert {row["verdict"] for row in [*ROWS, *PREDICTED]} == set(VERDICTS)


def test_a_description_that_cannot_be_read_hides_no_other_sweep(tmp_path: Path) -> None:
    write(tmp_path / "a", ROWS)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / DESCRIPTION).write_text('{"created_at": "9')
    assert load_coverage(tmp_path).attrs["path"] == str(tmp_path / "a")


def test_a_description_that_is_no_table_of_names_is_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", ROWS)
    (folder / DESCRIPTION).write_text("[]")
    with pytest.raises(AnalysisError, match="does not describe a sweep"):
        load_coverage(folder)


def test_a_page_that_cannot_be_written_is_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", ROWS)
    (folder / "report_coverage.md").mkdir()
    with pytest.raises(AnalysisError, match="cannot write"):
        write_coverage_report(folder)


PREDICTED = [
    {**row(name, verdict=verdict), "evidence": "predicted", "reason": "predicted from torch's kernels, not run", **more}
    for name, verdict, more in [
        ("relu", "supported", {}), ("svd", "fallback", {}), ("histc", "supported", {}), ("eig", "unknown", {}),
        ("resnet18", "supported", {"source": "models", "family": "torchvision models"}),
    ]
]  # fmt: skip


def test_a_prediction_says_on_every_page_that_nothing_was_run(tmp_path: Path) -> None:
    page = build(load_coverage(write(tmp_path / "one", PREDICTED)))
    assert page.startswith("# What is predicted to work on gpu with torch ")
    assert "nothing was run on the device" in page
    assert "are predicted to work forward" in page
    assert "resnet18 | torchvision models | gpu | forward: supported | predicted from torch's kernels, not run" in page
    assert "eig" in section(page, "What cannot be predicted")


@pytest.mark.parametrize("is_now_predicted", [True, False])
def test_a_prediction_is_held_against_what_was_run_whichever_is_named_first(
    tmp_path: Path, is_now_predicted: bool
) -> None:
    said, found = (load_coverage(write(tmp_path / n, rows)) for n, rows in (("said", PREDICTED), ("found", ROWS)))
    page = build(said, found) if is_now_predicted else build(found, said)
    assert "1 of 3 predictions are right (33.3 %)" not in page
    assert "2 of 3 predictions are right (66.7 %)" in page, "relu works, svd does not; eig was not predicted"
    wrong = page.split("### Predicted to work, but do not: 1\n", 1)[1].split("###", 1)[0]
    assert "histc" in wrong
    assert "### Predicted not to work, but do: 0" in page
