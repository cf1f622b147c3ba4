"""The comparison as a script: its sides, its page and exit codes, on real Parquet of hand-made rows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.comparison.page import main
from tests.analysis.comparison.made import Cell, Repeated, Sweep, cells, compared, machine, refused, rows_of
from tests.analysis.conftest import row
from tests.analysis.made_up import failed
from tests.analysis.states import check_html, old_sweep

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.mark.drawn
def test_what_became_slower_is_a_regression_and_what_became_faster_is_none(
    repeated: Repeated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = repeated("old", cells()), repeated("new", [*cells(1.5)[:2], *cells(0.7)[2:]])
    text = compared(tmp_path, old, new, code=3)
    assert text.startswith(
        "# new against old\n\n- **new is faster than old in 2 of 3 matched cells and slower in 1**: "
    )
    assert "(2 faster, 1 slower, 0 the same, 0 unclear)" in text
    assert "- **Regression**: against old, 1 cell slower (batch 4: 0.7" in text
    said = capsys.readouterr()
    assert said.err.startswith("compare.py: regression: against old, 1 cell slower (batch 4: 0.7")
    assert said.out == f"{tmp_path / 'out' / 'compare.md'}\n"
    table = rows_of(text, "Cell by cell")
    assert table[0][:6] == ["cell", "verdict", "old (ms/item)", "new (ms/item)", "speed ratio (95 % interval)", "p"]
    assert [line[:2] for line in table[2:]] == [["batch 1", "faster"], ["batch 2", "faster"], ["batch 4", "slower"]]
    ratio = float(table[2][4].split()[0])
    low, high = map(float, re.search(r"\((\S+) to (\S+)\)", table[2][4]).groups())
    assert low < 1.5 < high
    assert ratio == pytest.approx(1.5, rel=0.01)

    text = compared(tmp_path, new, old, "--baseline", "new", code=3)
    assert "slower in 2**" in text
    assert compared(tmp_path, old, repeated("new", cells(1.5))).count("Regression") == 0


def test_a_cell_that_completed_before_and_fails_now_is_a_regression(sweep: Sweep, tmp_path: Path) -> None:
    lost = [*cells()[:2], failed(2, 4, "fp32", device="cpu")]
    text = compared(tmp_path, sweep("old", cells()), sweep("new", lost), code=3)
    assert "- **Regression**: against old, 1 cell lost (cpu, batch 4: oom)." in text
    assert rows_of(text, "Complete on one side only")[2][:4] == ["cpu, batch 4", "new", "complete", "oom"]
    gained = compared(tmp_path, "new=" + str(tmp_path / "new"), "old=" + str(tmp_path / "old"), code=4)
    assert rows_of(gained, "Complete on one side only")[2][:4] == ["cpu, batch 4", "old", "oom", "complete"]


def test_what_is_shown_to_be_as_fast_is_the_same_and_what_is_not_shown_is_undecided(
    repeated: Repeated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = repeated("a", cells()), repeated("b", cells())
    text = compared(tmp_path, a, b)
    assert "**b is as fast as a**, shown to within 5 % in all 3 matched cells: 0.99" in text or ": 1.00" in text
    assert "In all cells: inference, single-stream, m, cpu, fp32." in text
    assert "Runs of one cell differ by 0." in text
    assert "four out of five such comparisons would detect a slowdown of" in text
    text = compared(tmp_path, a, b, "--min-change", "0.1", code=4)
    assert "**b and a are statistically indistinguishable**, but not shown to be equally fast to within 0.1 %" in text
    told = "compare.py: undecided: against a, 3 cells neither shown to be slower nor shown to be as fast\n"
    assert capsys.readouterr().err == told
    assert "'x' is not a percentage between 0 and 100" in said_of(capsys, a, b, "--min-change", "x")


def said_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the parser says of arguments that it refuses, in one line."""
    with pytest.raises(SystemExit, match="2"):
        main([*map(str, arguments)])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.drawn
def test_one_run_a_side_has_no_verdict_and_says_what_is_known_of_the_next(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once, later = sweep("once", cells()), sweep("later", cells(0.5))
    text = compared(tmp_path, once, later, code=4)
    assert re.search(r"\*\*These runs differ by (a factor of 2\.0|100 %|99 %)", text)
    assert "This is not a verdict: how much this machine varies by itself is unknown" in text
    assert "Regression" not in text
    assert {line[1] for line in rows_of(text, "Cell by cell")[2:]} == {"one run"}
    assert "3 cells run only once on a side" in capsys.readouterr().err
    again = sweep("again", cells(0.97)[:1])  # one cell was measured twice and moved by 3 %
    text = compared(tmp_path, f"a={once},{again}", f"b={sweep('next', cells(1.01))}", code=4)
    assert re.search(r"\*\*These runs differ by \d\.\d+ %\*\*", text)
    assert "the difference is within this machine's own variation: a cell changed by up to" in text


def test_beside_other_work_nothing_is_decided(repeated: Repeated, tmp_path: Path) -> None:
    busy = [c | {"other_load_ratio": 0.3} for c in cells(0.5)]
    text = compared(tmp_path, repeated("a", cells()), repeated("b", busy), code=4)
    assert "**b and a were measured while other work was running**" in text
    assert {line[1] for line in rows_of(text, "Cell by cell")[2:]} == {"disturbed"}
    assert "b: 3 of 3 cells shared the machine" in text, "of cells, not of their runs"


def test_what_differs_in_the_environments_is_named(repeated: Repeated, tmp_path: Path) -> None:
    ours = {"driver_version": "550", "device_settings": "OMP_PROC_BIND=true", "clock_mhz": 1900.0}
    theirs = {"driver_version": "560", "clock_mhz": 1500.0}
    text = compared(tmp_path, repeated("a", cells(**ours)), repeated("b", cells(**theirs)))
    assert "driver: 550 in a, 560 in b" in text
    assert "variables: OMP" in text
    assert "none in b" in text
    assert "device clock: 1,900 MHz in a, 1,500 MHz in b" in text
    assert "The environments differ" not in compared(tmp_path, repeated("a", cells()), repeated("b", cells()))


@pytest.mark.drawn
def test_three_sides_are_each_compared_with_the_baseline(repeated: Repeated, tmp_path: Path) -> None:
    one, two, three = (repeated(name, cells(speed)) for name, speed in (("v1", 1.0), ("v2", 1.3), ("v3", 0.8)))
    text = compared(tmp_path, one, two, three, code=3)
    assert text.startswith("# v2, v3 against v1\n")
    assert "**v2 is faster than v1 in all 3 matched cells**: 1." in text
    assert "**v3 is slower than v1 in all 3 matched cells**: 0.79" in text
    assert re.search(r"\(batch \d in v3: 0\.(79|80)", text)
    assert {line[1] for line in rows_of(text, "Cell by cell")[2:]} == {"v2", "v3"}
    assert [line[0] for line in rows_of(text, "Each side at its best")[2:]] == ["v1", "v2", "v3"]
    assert len(re.findall(r"!\[Speed of v[23] relative to v1", text)) == 2
    other = compared(tmp_path, one, two, three, "--baseline", "v3")
    assert other.startswith("# v1, v2 against v3\n")


@pytest.mark.parametrize(
    ("column", "ours", "theirs"),
    [("input_shape", "3x224x224", "3x32x32"), ("weights", "imagenet", "random"),
     ("options", '{"size": 32}', '{"size": 64}')],
)  # fmt: skip
def test_other_work_is_refused_until_it_is_allowed(
    sweep: Sweep, tmp_path: Path, column: str, ours: Any, theirs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = sweep("a", cells(**{column: ours})), sweep("b", cells(**{column: theirs}))
    name = "size" if column == "options" else column
    said = refused(capsys, a, b)
    assert "the sides did different work: " in said
    assert f"--allow-different {name}\n" in said
    text = compared(tmp_path, a, b, "--allow-different", name, code=4)
    assert f"Allowed to differ: {name}: ".replace("_", r"\_") in text


def test_another_model_is_another_cell_and_may_be_compared_where_told(
    repeated: Repeated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = repeated("a", cells(model="small")), repeated("b", cells(0.5, model="large", weights="random"))
    said = refused(capsys, a, b)
    assert "no cell is the same on all sides: they differ in model (small against large)" in said
    text = compared(tmp_path, a, b, "--allow-different", "model", code=3)
    assert "in all 3 matched cells" in text
    assert "Allowed to differ: model: small in a; large in b." in text


def test_what_one_side_did_not_record_is_doubted_and_not_refused(repeated: Repeated, tmp_path: Path) -> None:
    text = compared(tmp_path, repeated("a", cells()), repeated("b", cells(input_shape="3x224x224")))
    assert r"Recorded by one side only: input\_shape: not recorded in a, 3x224x224 in b (3 cells)." in text


def test_what_cannot_be_compared_is_told_in_one_line(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = sweep("a", cells()), sweep("b", machine({"cpu": 10, "gpu": 20}))
    (tmp_path / "file").write_text("")
    twice = sweep("twice", [*cells(n=1), row(1, batch_size=1, step_median_s=0.1, precision="bf16")])
    for arguments, told in (
        ([a], "a comparison needs two sides, got a"),
        ([a, tmp_path / "none"], "contains no sweep (there is no such folder)"),
        ([a, a], "2 sides are named 'a'; name them: first="),
        ([a, b, "--across", "devise"], "--across: results have no column 'devise'"),
        ([a, b, "--allow-different", "modell"], "--allow-different: results have no column or option 'modell'"),
        ([a, b, "--baseline", "c"], "no side is named 'c'; the sides are a, b"),
        ([a, twice, "--allow-different", "precision"],
         "twice has the same cell with precision fp32, bf16; use --across precision"),
        ([a, sweep("failed", [failed(0, 1, "fp32", device="cpu", model="x")])],
         "no cell was completed on every side: failed has none"),
        ([sweep("empty", []), a], "no cell was completed on every side: empty has none"),
        ([a, f"b={a}", "--output", tmp_path / "file" / "x.md"], "cannot write"),
    ):  # fmt: skip
        assert told in refused(capsys, *arguments)


def test_text_from_results_is_escaped(sweep: Sweep, tmp_path: Path) -> None:
    hostile = "a|b <i>$x$ *y*"
    old = cells(model=hostile, device_name=hostile)
    new = [*cells(model=hostile, device_name=hostile)[:2],
           failed(2, 4, "fp32", device="cpu", model=hostile, status_reason=hostile)]  # fmt: skip
    text = compared(tmp_path, f"<b>old|={sweep('old', old)}", f"<u>new|={sweep('new', new)}", code=3)
    assert not re.search(r"<[biu]>", text)
    assert r"a\|b &lt;i&gt;\$x\$ \*y\*" in text
    assert text.startswith("# &lt;u&gt;new\\| against &lt;b&gt;old\\|\n")


@pytest.mark.drawn
def test_the_same_results_give_the_same_bytes(repeated: Repeated, tmp_path: Path) -> None:
    folders = repeated("a", cells()), repeated("b", cells(1.2))
    made = []
    for name in ("one", "two"):
        compared(tmp_path / name, *folders)
        made.append({p.name: p.read_bytes() for p in sorted((tmp_path / name).rglob("*")) if p.is_file()})
    assert made[0] == made[1]
    assert set(made[0]) == {"compare.md", "compare.png"}


@pytest.mark.drawn
def test_one_html_file_holds_it_all(repeated: Repeated, tmp_path: Path) -> None:
    sides = repeated("a", cells()), repeated("b", cells(1.2))

    def against(arguments: Sequence[str]) -> int:
        return main([*sides, *arguments[1:]])

    check_html(against, tmp_path, tmp_path)


def test_the_script_runs_from_anywhere_and_its_exit_code_is_for_ci(repeated: Repeated, tmp_path: Path) -> None:
    old, new = repeated("old", cells(n=1)), repeated("new", cells(0.5, n=1))
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=False)
    ended = run([sys.executable, str(ROOT / "analysis" / "compare.py"), old, new])
    assert (ended.returncode, ended.stdout) == (3, "compare.md\n")
    assert ended.stderr.startswith("compare.py: regression: against old, 1 cell slower (the one cell: 0.49")


def test_a_truncated_file_is_named_and_left_out(sweep: Sweep, tmp_path: Path) -> None:
    a, b = sweep("a", cells()), sweep("b", cells(), n_cells=5)
    whole = (b / "trials" / "part-0.parquet").read_bytes()
    (b / "trials" / "part-trials.parquet").write_bytes(whole[: len(whole) // 2])
    text = compared(tmp_path, a, b, code=4)
    assert (
        "b: 1 file could not be read, or does not belong to the sweep, and was left out: part-trials.parquet." in text
    )
    assert "b: 2 cells are missing: a sweep did not finish." in text


def test_columns_that_an_older_schema_lacks_are_no_reason_to_fail(sweep: Sweep, tmp_path: Path) -> None:
    old = old_sweep(tmp_path / "old")
    text = compared(tmp_path, old, f"again={old}", code=4)
    assert (
        "had one run on a side: the interval covers only what varies within that run, and there is no verdict." in text
    )
    parquet = sweep("b", cells()) / "trials" / "part-0.parquet"
    assert "This is not a verdict" in compared(tmp_path, sweep("a", cells()), f"b={parquet}", code=4)


@pytest.mark.drawn
def test_servers_are_compared_by_the_latency_of_a_request(repeated: Repeated, tmp_path: Path) -> None:
    def server(latency: float, found: float) -> list[Cell]:
        return [row(0, scenario="server", rate_per_s=100, batch_size=1, step_median_s=latency, max_rate_per_s=found,
                    completed_rate_per_s=100, n_dropped=0)]  # fmt: skip

    text = compared(tmp_path, repeated("a", server(0.02, 100)), repeated("b", server(0.01, 150)))
    assert "For the server scenario, the speed compared is that of a request" in text
    table = rows_of(text, "Cell by cell")
    assert table[0][2] == "a (ms/request)"
    assert table[2][2] == "20.0"
    assert rows_of(text, "Each side at its best")[3][3] == "1.50", "the highest rates that were found"


@pytest.mark.drawn
def test_of_many_cells_the_table_and_the_figure_show_those_that_differ_most(repeated: Repeated, tmp_path: Path) -> None:
    sizes = [row(i, batch_size=i + 1, step_median_s=0.1) for i in range(40)]
    other = [c | {"step_median_s": 0.1 / (1 + 0.01 * i)} for i, c in enumerate(sizes)]
    text = compared(tmp_path, repeated("a", sizes), repeated("b", other), code=4)
    assert len(rows_of(text, "Cell by cell")) == 42
    assert "; 35 more in the table" in text


def test_a_wide_comparison_shares_what_all_cells_have_in_common(repeated: Repeated, tmp_path: Path) -> None:
    """Finetuning: held-out accuracy stands beside the speed, since the fastest may have learnt least."""

    def tuned(speed: float, accuracy: float) -> list[Cell]:
        return cells(
            speed, workload="finetune", scenario=None, tune="full", learning_rate=0.002, accuracy_best=accuracy
        )

    text = compared(tmp_path, repeated("a", tuned(1, 0.98)), repeated("b", tuned(2, 0.61)))
    table = rows_of(text, "Each side at its best")
    assert table[0][-1] == "held-out accuracy"
    assert [line[-1] for line in table[2:]] == ["98.0 %", "61.0 %"]
    assert "In all cells: finetune, m, full, cpu, fp32, lr 0.002." in text


def test_descriptions_that_cannot_be_read_are_told_in_one_line(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = sweep("a", cells()), sweep("b", cells())
    (b / "sweep.json").write_text(json.dumps({"schema_version": 99}))
    assert "b: schema version 99" in refused(capsys, a, b)
    (b / "sweep.json").write_text("{torn")
    assert "is not JSON" in refused(capsys, a, b)
    assert pd.read_parquet(a / "trials").shape[0] == 3
