"""The report's page in every state of a sweep, as text and as the script that a user runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analysis.page.command_line import run_main
from analysis.read.sweep import AnalysisError
from analysis.recommendation.page import main, write_report
from analysis.text import escape, number, shared_digits, significant
from tests.analysis.conftest import Write, row

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parent.parent.parent.parent
NASTY = "a|b <script>alert(1)</script> *bold* `code` [link](http://x) ![i](http://x)\n\n# heading\n| 1 | 2 |"


def machine() -> list[dict[str, Any]]:
    """A CPU and an accelerator: the accelerator is 10x the speed in fp32, and 2.5x as long in bf16."""
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


def section(text: str, heading: str) -> str:
    """What stands under a heading."""
    return text.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]


def test_the_answer_comes_first_then_caveats_settings_figures_failures_environment_and_the_command(
    write_sweep: Write,
) -> None:
    text = write_report(write_sweep([*machine(), row(5, stability="unstable")])).read_text()
    assert (
        "fastest with **gpu, bf16, batch 8**: 2,000 images/s, 2.50x the speed of fp32 and 25.0x the speed of the CPU"
        in text.splitlines()[2]
    )
    order = ["# inference", "## What each axis buys", "![", "## Before you rely on it", "## Recommended settings", "## Each device and precision",
             "figures/settings.png", "## Every cell", "## The grid", "## What did not work", "## Environment", "## Reproduce", "accelsweep inference"]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_what_runs_a_network_is_named_with_what_it_gains_and_how_it_agrees(write_sweep: Write) -> None:
    told = {"runtime": "openvino", "precision": "bf16", "computed_dtype": "bfloat16", "nodes_by_provider": "CPU 12",
            "convert_s": 3.0, "session_s": 0.5, "top1_agreement_ratio": 1.0, "n_compared": 64}  # fmt: skip
    rows = [row(0, runtime=None), row(1, runtime="openvino", step_median_s=0.09), row(2, step_median_s=0.04, **told)]
    text = write_report(write_sweep(rows)).read_text()
    first = text.splitlines()[2]
    assert "**cpu, bf16, batch 8, through openvino**" in first, "a cell of an older sweep is PyTorch's"
    assert "2.50x the speed of the best of PyTorch, with the reference's best class for 100.0 % of 64 images" in first
    found = section(text, "Each runtime and precision")
    assert "CPU 12" in found
    assert "bfloat16" in found
    assert "Each runtime and precision" not in write_report(write_sweep(rows[:1])).read_text()


@pytest.mark.drawn
def test_figures_lie_beside_the_page_and_say_in_words_what_they_show(write_sweep: Write) -> None:
    report = write_report(write_sweep(machine()))
    found = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", report.read_text())
    assert [path for _, path in found] == ["figures/axes.png", "figures/settings.png"]
    assert "recommended: gpu, bf16, batch 8 with 2,000 images/s" in found[1][0]
    assert (report.parent / found[1][1]).read_bytes().startswith(b"\x89PNG")


def test_why_energy_is_unknown_is_told(write_sweep: Write) -> None:
    rows = [{**row, "items_per_j": None, "energy_per_item_j": None} for row in machine()]
    assert "Energy was not measured: no counter could be read." in write_report(write_sweep(rows, "none")).read_text()
    for workload, option in (("inference", "--min-s"), ("finetune", "--epochs")):
        short = [{**row, "energy_source": "nvml", "workload": workload} for row in rows]
        text = write_report(write_sweep(short, workload)).read_text()
        assert (
            f"Energy was not measured: the cells were shorter than ten periods of the counter (lengthen them with {option})."
            in text
        )


def test_a_setting_that_is_frugal_among_few_is_told_so(write_sweep: Write) -> None:
    known = {"items_per_j": 2.0, "energy_per_item_j": 0.5, "energy_source": "nvml", "device": "gpu"}
    rows = [row(0, **known), row(1, **{**known, "items_per_j": None}, batch_size=64), row(2, device="cpu")]
    searched = row(3, **{**known, "items_per_j": None}, scenario="server", max_rate_per_s=9.0)
    text = write_report(write_sweep([*rows, searched])).read_text()
    assert (
        "Energy was measured for 1 of 2 cells; the others were shorter than ten periods of the counter (lengthen them with --min-s)."
        in text
    )
    assert "Energy is known" not in write_report(write_sweep([rows[0], rows[2], searched], "all")).read_text()


def test_limits_decide_what_is_recommended(write_sweep: Write) -> None:
    folder = write_sweep(machine())
    text = write_report(folder, max_latency_ms=8).read_text()
    assert "reaches 2,000 images/s within 8 ms per step with **gpu, bf16, batch 8** (p99 5.00 ms)" in text
    assert "## Recommended settings within 8 ms per step" in text
    assert "| gpu | bf16 | 64 |" not in section(text, "Recommended settings")
    text = write_report(folder, max_memory_gb=1).read_text()
    assert (
        "No cell of inference meets the limits (1 GB of memory (0.931 GiB)); the nearest is **cpu, fp32, batch 8** with 1.07 GB."
        in text
    )
    assert "## Recommended" not in text


def test_the_limits_that_the_sweep_was_asked_to_hold_are_the_default(write_sweep: Write) -> None:
    folder = write_sweep(machine())
    description = json.loads((folder / "sweep.json").read_text())
    description["config"]["limits"] = {"max_latency_ms": 8.0, "max_memory_gb": None, "min_accuracy": None}
    (folder / "sweep.json").write_text(json.dumps(description))
    assert "images/s within 8 ms per step with" in write_report(folder).read_text()
    assert "fastest in this run within 60 ms per step" in write_report(folder, max_latency_ms=60).read_text()


def test_several_sweeps_make_one_page_with_the_command_of_each(write_sweep: Write) -> None:
    one, two = write_sweep(machine()[:1], "one"), write_sweep(machine()[1:4], "two")
    report = write_report([one, two])
    text = report.read_text()
    assert report == one.parent / "report.md"
    assert "25.0x the speed of the CPU" in text
    assert "folders\none, two" in text


def test_an_unfinished_sweep_says_how_to_go_on(write_sweep: Write) -> None:
    text = write_report(write_sweep(machine(), n_cells=9)).read_text()
    assert "4 of the 9 cells are missing" in text
    assert "    accelsweep inference --resume s\n" in text


@pytest.mark.drawn
def test_training_is_told_by_accuracy_and_time_to_target(write_sweep: Write) -> None:
    rows = [row(i, workload="finetune", scenario=None, tune="full", batch_size=8 * (i + 1), accuracy_best=0.9 + 0.05 * i, n_heldout_items=2000,
                target_accuracy=0.92, time_to_target_s=9.0 if i else None) for i in range(2)]  # fmt: skip
    rounds = [{"trial_key": f"k{i:03d}", "round": r, "elapsed_s": 3.0 * r, "accuracy": 0.3 * r, "items": 1, "seconds": 1.0}
              for i in range(2) for r in range(4)]  # fmt: skip
    report = write_report(write_sweep(rows, rounds=rounds))
    text = report.read_text()
    assert "best held-out accuracy is 95.0 %, with cpu, fp32, batch 16" in text
    assert "92 % held-out accuracy is reached with cpu, fp32, batch 16: after 9.00 s of training" in text
    assert (report.parent / "figures" / "accuracy.png").is_file()


def server(index: int, rate: float, p99_s: float, **values: Any) -> dict[str, Any]:
    return row(index) | {
        "scenario": "server", "batch_size": 1, "rate_per_s": rate, "throughput_items_per_s": rate, "latency_p99_s": p99_s,
        "completed_rate_per_s": rate, "throughput_low_items_per_s": None, "throughput_high_items_per_s": None, "n_dropped": 0,
        "step_median_low_s": None, "step_median_high_s": None, "deadline_s": 0.05, "step_median_s": None, **values,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "told"),
    [({"max_latency_ms": 50}, "highest rate within 50 ms with **"), ({"max_latency_ms": 30}, "highest rate within 30 ms with **"),
     ({"max_latency_ms": 90, "max_memory_gb": 8}, "highest rate within 50 ms and within 8 GB of memory (7.45 GiB) with **")],
)  # fmt: skip
def test_a_servers_deadline_and_the_limit_on_latency_are_told_once(
    write_sweep: Write, limits: dict[str, float], told: str
) -> None:
    report = write_report(write_sweep([server(0, 10, 0.02, peak_rss_bytes=10**9)]), **limits)
    assert told in report.read_text()


@pytest.mark.drawn
def test_a_server_is_told_by_the_highest_rate_that_holds_its_deadline(write_sweep: Write) -> None:
    rows = [server(0, 10, 0.02), server(1, 20, 0.04), server(2, 40, 0.2), server(3, 80, 3.0, completed_rate_per_s=45.0)]
    report = write_report(write_sweep(rows))
    text = report.read_text()
    assert (
        "serves the highest rate within 50 ms with **cpu, fp32, batch 1**: 20.0 images/s at 20 requests/s arriving, p99 40.0 ms"
        in text
    )
    assert "| misses deadline |" in text
    assert "| falls behind, misses deadline |" in text
    assert (report.parent / "figures" / "load.png").is_file()
    text = write_report(write_sweep(rows[2:], "over")).read_text()
    assert (
        "No cell of inference meets its deadline of 50 ms; the nearest is **cpu, fp32, batch 1** at 40 requests/s, p99 200 ms."
        in text
    )


def test_a_search_for_batch_sizes_is_told_by_the_fastest_and_the_largest(write_sweep: Write) -> None:
    roles = ((8, "probe", 0.1), (16, "fastest", 0.12), (24, "largest", 0.2))
    rows = [row(i, batch_size=size, search_role=role, step_median_s=step) for i, (size, role, step) in enumerate(roles)]
    rows.append(row(3, batch_size=32, search_role="probe", status="oom", throughput_items_per_s=None))
    found = section(write_report(write_sweep(rows)).read_text(), "Batch sizes found")
    assert "| cpu | fp32 | out of memory at 32 | 16 | 133 | 24 | 120 | 1.00 |" in found


def test_a_batch_size_that_is_both_the_fastest_and_the_largest_is_told_as_both(write_sweep: Write) -> None:
    # Such a search was left out of the table.
    rows = [row(0, search_role="probe"), row(1, batch_size=16, search_role="fastest and largest"),
            row(2, batch_size=32, search_role="probe", status="unsupported", throughput_items_per_s=None)]  # fmt: skip
    found = section(write_report(write_sweep(rows)).read_text(), "Batch sizes found")
    assert "| cpu | fp32 | unsupported at 32 | 16 | 160 | 16 | 160 | 1.00 |" in found


def test_why_something_is_unsupported_is_told_without_the_name_of_an_exception(write_sweep: Write) -> None:
    failed = {"throughput_items_per_s": None, "status_reason": "needs --batch-size 38 or less"}
    rows = [row(), row(1, batch_size=64, status="unsupported", error_type="UnsupportedError", **failed),
            row(2, batch_size=16, status="error", error_type="KeyError", error_message="'x'", throughput_items_per_s=None)]  # fmt: skip
    table = section(write_report(write_sweep(rows)).read_text(), "What did not work")
    assert "| unsupported | cpu, fp32, batch 64 | needs --batch-size 38 or less | 1 |" in table
    assert "KeyError" in table


def test_a_search_for_several_objectives_shows_its_front(write_sweep: Write) -> None:
    folder = write_sweep(
        [row(0, batch_size=1, step_median_s=0.02), row(1, batch_size=8), row(2, batch_size=4, step_median_s=0.2)]
    )
    description = json.loads((folder / "sweep.json").read_text())
    description["config"]["search"] = {"objectives": ["throughput", "latency"]}
    (folder / "sweep.json").write_text(json.dumps(description))
    front = section(write_report(folder).read_text(), "Best trade-offs between throughput and latency")
    assert [line.split(" | ")[2] for line in front.splitlines() if "| fp32 |" in line] == ["1", "8"]


def test_alike_failures_are_one_row_with_their_number(write_sweep: Write) -> None:
    rows = [row(i, batch_size=2**i, status="oom", throughput_items_per_s=None, error_message=f"tried to allocate {2**i} MiB")
            for i in range(5)]  # fmt: skip
    rows.append(row(9, status="crashed", throughput_items_per_s=None, error_message="killed"))
    table = section(write_report(write_sweep(rows)).read_text(), "What did not work")
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == 2
    assert lines[0].startswith("| oom | cpu, fp32, batch 1; cpu, fp32, batch 2; cpu, fp32, batch 4 and 2 more |")
    assert lines[0].endswith("| 5 |")


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "nothing to recommend"),
        ([row(status="crashed", throughput_items_per_s=None)], "nothing to recommend"),
        ([row()], "inference reaches 80.0 images/s with **cpu, fp32, batch 8**."),
        ([row(host="a", step_median_s=0.2), row(1, host="b")], "Of these machines inference is fastest in this run with **s host b, cpu, fp32"),
    ],
    ids=["empty", "all failed", "one cell", "two machines"],
)  # fmt: skip
def test_every_state_of_a_sweep_has_a_page(write_sweep: Write, rows: list[dict[str, object]], said: str) -> None:
    text = write_report(write_sweep(rows, n_cells=2)).read_text()
    assert text.startswith("# ")
    assert said in text
    assert "nan" not in text.lower()
    assert "None" not in text


@pytest.mark.drawn
def test_the_machines_of_a_mixed_sweep_are_told_apart_everywhere(write_sweep: Write) -> None:
    rows = [row(i, host=host, device_name=f"device {host}", batch_size=size, step_median_s=0.1 if host == "a" else 0.05)
            for i, (host, size) in enumerate((h, s) for h in ("a", "b") for s in (8, 16))]  # fmt: skip
    text = write_report(write_sweep(rows)).read_text()
    assert "The cells come from 2 machines." in text
    assert text.count("fastest") >= 2
    assert "On cpu, s host a the best is" in text
    assert "| device | device a | device b |" in section(text, "Environment")


@pytest.mark.drawn
def test_columns_that_an_older_schema_lacks_leave_a_page_without_them(write_sweep: Write) -> None:
    folder = write_sweep(machine())
    file = folder / "trials" / "part-0.parquet"
    kept = [
        "trial_key",
        "trial_index",
        "status",
        "workload",
        "device",
        "batch_size",
        "precision",
        "throughput_items_per_s",
    ]
    pq.write_table(pq.read_table(file).select(kept), file)
    text = write_report(folder).read_text()
    assert "fastest in this run with **gpu, bf16, batch 8**: 2,000 items/s" in text
    assert "nan" not in text.lower()
    assert "The timer was not proven on cpu, gpu" in text


@pytest.mark.parametrize("table", ["trials", "samples", "rounds"])
def test_a_truncated_file_is_named_counted_and_skipped(write_sweep: Write, table: str) -> None:
    rounds = [{"trial_key": "k000", "round": 0, "elapsed_s": 1.0}]
    samples = [{"trial_key": "k000", "phase": "measure", "round": 0, "index": 0, "seconds": 0.1}]
    folder = write_sweep(machine(), samples=samples, rounds=rounds)
    whole = (folder / table / "part-0.parquet").read_bytes()
    (folder / table / "part-1.parquet").write_bytes(whole[: len(whole) // 2])
    text = write_report(folder).read_text()
    assert "1 file could not be read, or does not belong to the sweep, and was left out: part-1.parquet." in text
    assert "5 cells: 4 complete, 1 oom" in text


def test_text_from_results_is_shown_as_it_is_and_does_nothing(write_sweep: Write) -> None:
    rows = [*machine()[:4], row(4, status="error", throughput_items_per_s=None, error_type=NASTY, status_reason=NASTY[:20],
                                error_message=NASTY, device_name=NASTY, host=NASTY)]  # fmt: skip
    rows[1]["model"] = NASTY
    folder = write_sweep(rows)
    description = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(
        json.dumps(description | {"command": ["accelsweep", "inference", f"--images={NASTY}"]})
    )
    page = write_report(folder, html=True)
    text = page.with_suffix(".md").read_text()
    outside_code = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert "<script" not in outside_code
    assert not re.search(r"(?<!\\)\*bold", outside_code)
    assert not re.search(r"(?<!\\)`code", outside_code)
    assert "(http://x)" not in re.sub(r"\\\]\(http://x\)", "", outside_code)
    assert "\n# heading" not in text
    assert "\n| 1 | 2 |" not in text
    for rows_of_table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in rows_of_table.splitlines()}
        assert len(widths) == 1, rows_of_table
    html = page.read_text()
    assert html.count("<script>") == 1, "only our own"
    assert "<h1>heading" not in html
    assert 'href="http' not in html


@pytest.mark.drawn
def test_the_page_is_the_same_bytes_for_the_same_results(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep(machine())
    made = []
    for name in ("one", "two"):
        report = write_report(folder, tmp_path / name / "report.md", html=True)
        made.append({p.name: p.read_bytes() for p in sorted(report.parent.rglob("*")) if p.is_file()})
    assert made[0] == made[1]
    assert sorted(made[0]) == ["axes.png", "report.html", "report.md", "settings.png", "summary.json"]


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [(123.456, None, None, "123"), (123.456, 123.4, 123.5, "123.5"), (0.012345, 0.011, 0.013, "0.0123"), (None, 1, 2, "n/a"),
     (12345.6, 12000, 13000, "12,300"), (0, None, None, "0")],
)  # fmt: skip
def test_numbers_have_the_digits_that_their_interval_supports(
    value: float | None, low: float | None, high: float | None, shown: str
) -> None:
    assert number(value, shared_digits([(value, low, high)])) == shown


def test_text_is_escaped_on_one_line() -> None:
    assert escape("a|b\n*c* <i>`x`") == r"a\|b \*c\* &lt;i&gt;\`x\`"
    assert significant(1.5e-9) == "1.50e-09"


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"max_latency_ms": 0}, "--max-latency-ms: 0 must be a number over 0"), ({"min_accuracy": 95}, "--min-accuracy: 95 must lie"),
     ({"max_memory_gb": float("nan")}, "--max-memory-gb: nan")],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(write_sweep: Write, limits: dict[str, float], said: str) -> None:
    with pytest.raises(AnalysisError, match=re.escape(said)):
        write_report(write_sweep([row()]), **limits)


def test_the_script_runs_from_anywhere_and_prints_the_name_of_the_page(write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep([row()])
    script = [sys.executable, str(ROOT / "analysis" / "report.py"), "s"]
    ended = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / ended.stdout.strip()).samefile(folder / "report.md")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["none"], "'none' contains no sweep"), (["s", "--max-latency-ms", "-1"], "--max-latency-ms: -1 must be a number over 0"),
     (["newer"], "newer: schema version 99; this analysis reads up to 1"),
     (["s", "--output", "s/sweep.json/report.md"], "cannot write 's/sweep.json'")],
    ids=["no sweep", "bad limit", "newer schema", "cannot write"],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    write_sweep: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], said: str,
) -> None:  # fmt: skip
    write_sweep([row()])
    newer = write_sweep([row()], "newer") / "sweep.json"
    newer.write_text(json.dumps(json.loads(newer.read_text()) | {"schema_version": 99}))
    monkeypatch.chdir(tmp_path)
    assert run_main(main, arguments) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert said in told
