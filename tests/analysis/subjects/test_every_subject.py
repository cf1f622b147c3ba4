"""What holds of the report on every subject: as a script, on a bad command line, and in every state of a sweep."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import subjects
from analysis.page.command_line import run_script
from analysis.recommendation.figures import KINDS
from tests.analysis import states
from tests.analysis.conftest import Write, row
from tests.analysis.subjects.filled import FILLED, operation, write_operations

ROOT = Path(__file__).parents[3]
COVERAGE, HISTORY = "coverage", "history"  # which have tests of their own
SCRIPTS = {script.stem.removeprefix("report_"): script for script in sorted((ROOT / "analysis").glob("report_*.py"))}
# As the interpreter starts a script, but pandas and matplotlib are loaded once for all of them.
RUN_EACH = """
import pathlib, runpy, sys
for script, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    for name in [name for name in sys.modules if name.partition(".")[0] == "analysis"]:
        del sys.modules[name]
    sys.argv, sys.path[0] = [script, folder], str(pathlib.Path(script).parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        print("exit code", ended.code)
"""
NOTHING = "No cell is complete, so there is nothing to report"
TOLD_IN = {
    "energy": {"figures/front": {"mixed machines"}, NOTHING: {"empty", "all failed"}},
    "latency": {"figures/": {"mixed machines"}, NOTHING: {"empty", "all failed"},
                "There is nothing to report: 1 cell completed": {"one cell"}},
    "memory": {"figures/memory": {"mixed machines"}, NOTHING: {"empty"}},
    "roofline": {"figures/roofline": {"mixed machines"}},
}  # fmt: skip
"""Words of a subject's page, and the states in which it has them."""
OF_AN_OLD_SWEEP = {
    "energy": "Energy was not measured on gpu (10 cells) and cpu (3 cells): no counter could be read there.",
    "memory": "1,024 did not fit",
    "roofline": "the counter knows none of their operations",
}


def main_of(subject: str) -> states.Main:
    return functools.partial(run_script, subject)


every_subject = pytest.mark.parametrize("subject", FILLED)


def test_every_script_is_of_a_subject_that_is_tried_here() -> None:
    assert set(SCRIPTS) == {*FILLED, COVERAGE, HISTORY}


def test_the_scripts_run_from_anywhere_and_write_beside_the_results(write_sweep: Write, tmp_path: Path) -> None:
    folders = {subject: write_sweep([row()], subject) for subject in FILLED}
    folders["finetune"] = write_sweep(FILLED["finetune"]().rows[:1], "trained")
    folders[HISTORY] = write_sweep([row()], HISTORY)
    folders[COVERAGE] = write_operations(
        tmp_path / "operations", [operation(), operation("svd", verdict="unsupported")]
    )
    named = [str(part) for subject, script in SCRIPTS.items() for part in (script, folders[subject])]
    command = [sys.executable, "-c", RUN_EACH, *named]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        line for subject, script in SCRIPTS.items() for line in (str(folders[subject] / f"{script.stem}.md"), "exit code 0")
    ]  # fmt: skip


@pytest.mark.parametrize("subject", SCRIPTS)
def test_a_bad_command_line_is_one_line(subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_script(subject, ["--nope\n\x1b[31m", "x"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith("error: unrecognized arguments: --nope \\x1b[31m\n")


@pytest.mark.parametrize("subject", SCRIPTS)
def test_what_is_no_sweep_is_told_in_one_line(subject: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        assert run_script(subject, [str(folder)]) == 2
        told = capsys.readouterr()
        assert told.err.count("\n") == 1
        assert f"contains no {'coverage ' if subject == COVERAGE else ''}sweep" in told.err
        assert told.out == ""


@every_subject
def test_the_script_tells_errors_in_one_line(
    subject: str, write_sweep: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    states.check_errors(main_of(subject), write_sweep([row()]), tmp_path, capsys)


@every_subject
@pytest.mark.parametrize("state", states.STATES)
def test_every_state_of_a_sweep_has_a_page(subject: str, state: str, write_sweep: Write, tmp_path: Path) -> None:
    folder = write_sweep(states.STATES[state](), n_cells=50)
    text = states.page_of(main_of(subject), [folder], tmp_path / "page.md")
    states.check_sensible(text)
    assert "did not finish" in text
    for words, told_in in TOLD_IN.get(subject, {}).items():
        assert (words in text) == (state in told_in), words


@every_subject
def test_an_older_schema_has_a_page_that_says_what_is_missing(subject: str, tmp_path: Path) -> None:
    text = states.page_of(main_of(subject), [states.old_sweep(tmp_path / "old")], tmp_path / "page.md")
    states.check_sensible(text)
    assert OF_AN_OLD_SWEEP.get(subject, "") in text


@pytest.mark.usefixtures("undrawn")
@every_subject
def test_a_truncated_part_is_named_and_skipped(subject: str, write_sweep: Write, tmp_path: Path) -> None:
    states.check_truncated(main_of(subject), write_sweep, tmp_path)


@every_subject
def test_the_page_is_the_same_bytes_for_the_same_results_escaped_and_self_contained(
    subject: str, write_sweep: Write, tmp_path: Path
) -> None:
    filled = FILLED[subject]()
    made = states.check_same_bytes(main_of(subject), filled.write(write_sweep), tmp_path)
    assert made == filled.files or not filled.files
    states.check_escaped((tmp_path / "one" / "page.md").read_text())


def test_no_page_overwrites_the_figures_of_another() -> None:
    """All pages of a sweep draw into one folder."""
    begin = list(KINDS)
    for path in sorted(Path(subjects.__path__[0]).glob("*/page.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        begin += [node.args[1].value for node in calls if getattr(node.func, "id", "") == "draw_each"]
    assert len(begin) > 15
    assert sorted(begin) == sorted(set(begin))
