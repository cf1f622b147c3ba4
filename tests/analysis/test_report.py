"""The report's numbers on hand-made rows with known answers, and its page in every state of a sweep."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import summaries
from analysis.load import load_sweep
from analysis.render import escape, number, significant
from analysis.report import write_report
from tests.analysis.conftest import Write, row

ROOT = Path(__file__).parent.parent.parent


def machine() -> list[dict[str, object]]:
    """A CPU and an accelerator: the accelerator is 10 times as fast in fp32, and 2.5 times that in bf16."""
    return [
        row(0, device="cpu", batch_size=8, step_median_s=0.1),
        row(1, device="gpu", batch_size=8, step_median_s=0.01),
        row(2, device="gpu", batch_size=8, precision="bf16", step_median_s=0.004, energy_per_item_j=0.5, items_per_j=2.0,
            latency_p99_s=0.005, device_peak_allocated_bytes=3 * 10**9),
        row(3, device="gpu", batch_size=64, precision="bf16", step_median_s=0.04, latency_p99_s=0.05, energy_per_item_j=1.0,
            items_per_j=1.0, device_peak_allocated_bytes=9 * 10**9),
        row(4, device="gpu", batch_size=128, precision="bf16", status="oom", status_reason="out of memory",
            throughput_items_per_s=None, step_median_s=0.1, error_message="no <b>memory</b> | left"),
    ]  # fmt: skip


def test_the_best_cell_of_each_device_and_what_it_gains(write_sweep: Write) -> None:
    best = summaries.best_per_device(load_sweep(write_sweep(machine())))
    assert [(b.row["device"], b.row["trial_key"]) for b in best] == [("gpu", "k002"), ("cpu", "k000")]
    assert best[0].over_fp32 == pytest.approx(2.5)
    assert best[0].over_cpu == pytest.approx(25.0)
    assert best[1].over_fp32 is None
    assert best[1].over_cpu is None


def test_limits_leave_only_cells_that_are_known_to_hold_them(write_sweep: Write) -> None:
    frame = load_sweep(write_sweep(machine()))
    assert summaries.within_limits(frame, max_latency_ms=20)["trial_key"].tolist() == ["k001", "k002"]
    assert summaries.within_limits(frame, max_memory_gb=5)["trial_key"].tolist() == ["k000", "k001", "k002"]
    assert summaries.within_limits(frame, max_energy_j=0.7)["trial_key"].tolist() == ["k002"]


def test_statuses_add_up(write_sweep: Write) -> None:
    frame = load_sweep(write_sweep(machine()))
    assert summaries.status_counts(frame) == {"complete": 4, "oom": 1}


def test_the_report_answers_first_and_escapes_what_comes_from_results(write_sweep: Write) -> None:
    report = write_report(write_sweep(machine()), max_latency_ms=20)
    text = report.read_text()
    first = text.splitlines()[2]
    assert "fastest with **gpu, bf16, batch 8**: 2,000 images/s, 2.5 times fp32 and 25 times the CPU" in first
    assert "Most images per joule: 2.00" in text
    assert "within a latency of 20 ms" in text
    assert "<b>" not in text
    assert "&lt;b" in text
    for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text):
        assert (report.parent / path).is_file()


def test_the_report_is_the_same_bytes_for_the_same_results(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep(machine())
    made = []
    for name in ("one", "two"):
        report = write_report(folder, tmp_path / name / "report.md")
        made.append({p.name: p.read_bytes() for p in sorted(report.parent.rglob("*")) if p.is_file()})
    assert made[0] == made[1]
    assert len(made[0]) >= 2


def test_caveats_name_what_cannot_be_trusted(write_sweep: Write) -> None:
    rows = [
        row(0, stability="very unstable", weights="random"),
        row(1, timing_verified=False, is_throttled=True),
        row(2, is_drifting=True, other_load_ratio=0.5),
    ]
    told = " ".join(summaries.caveats(load_sweep(write_sweep(rows)), 5, ["part-x.parquet"]))
    for words in ("did not pass its proof", "Random weights", "very unstable", "throttled", "drifted", "other work",
                  "2 of the 5 cells", "part-x.parquet"):  # fmt: skip
        assert words in told
    assert told.index("did not pass its proof") < told.index("unstable")
    assert summaries.caveats(load_sweep(write_sweep([row()])), 1, []) == []


@pytest.mark.parametrize(
    "rows",
    [[], [row()], [row(status="crashed", throughput_items_per_s=None)], [row(host="a"), row(1, host="b")]],
    ids=["empty", "one cell", "all failed", "two machines"],
)
def test_every_state_of_a_sweep_has_a_page(write_sweep: Write, rows: list[dict[str, object]]) -> None:
    text = write_report(write_sweep(rows, n_cells=2)).read_text()
    assert text.startswith("# ")
    assert "nan" not in text.lower().replace("n/a", "")
    assert ("nothing to recommend" in text) == (not rows or rows[0]["status"] != "complete")


def test_accuracy_curves_and_time_to_target(write_sweep: Write) -> None:
    rows = [row(i, workload="finetune", scenario=None, tune="full", batch_size=8 * (i + 1), accuracy_best=0.9 + 0.05 * i,
                target_accuracy=0.92, time_to_target_s=9.0 if i else None) for i in range(2)]  # fmt: skip
    rounds = [{"trial_key": f"k{i:03d}", "round": r, "elapsed_s": 3.0 * r, "accuracy": 0.3 * r, "items": 1, "seconds": 1.0}
              for i in range(2) for r in range(4)]  # fmt: skip
    report = write_report(write_sweep(rows, rounds=rounds))
    text = report.read_text()
    assert "best held-out accuracy is 95.0 %, with cpu, fp32, batch 16" in text
    assert "after 9.00 s of training" in text
    assert (report.parent / "figures" / "accuracy.png").is_file()


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [(123.456, None, None, "123"), (123.456, 123.4, 123.5, "123.5"), (0.012345, 0.011, 0.013, "0.012"), (None, 1, 2, "n/a"),
     (12345.6, 12000, 13000, "12,300"), (0, None, None, "0")],
)  # fmt: skip
def test_numbers_have_the_digits_that_their_interval_supports(
    value: float, low: float, high: float, shown: str
) -> None:
    assert number(value, low, high) == shown


def test_text_is_escaped_on_one_line() -> None:
    assert escape("a|b\n*c* <i>`x`") == r"a\|b \*c\* &lt;i&gt;\`x\`"
    assert significant(1.5e-9) == "1.50e-09"


def test_the_html_page_holds_its_figures_and_runs_nothing_from_results(write_sweep: Write) -> None:
    rows = machine()
    rows[4]["error_message"] = "<script>alert(1)</script>"
    page = write_report(write_sweep(rows), html=True).read_text()
    assert page.count("<script>") == 1, "only our own"
    assert 'src="data:image/png;base64,' in page
    assert re.search(r'<img[^>]+alt="Throughput', page)
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_the_script_runs_from_anywhere_and_tells_errors_in_one_line(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep([row()])
    script = str(ROOT / "analysis" / "report.py")
    ended = subprocess.run(
        [sys.executable, script, str(folder)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == str(folder / "report.md")
    (tmp_path / "none").mkdir()
    ended = subprocess.run([sys.executable, script, "none"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "holds no sweep" in ended.stderr
