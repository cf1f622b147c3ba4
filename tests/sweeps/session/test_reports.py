"""A report that cannot be written is one sentence with the command that writes it, and costs nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import pytest

import analysis.recommendation.page
from analysis.figures.style import canvas
from sweeps.commands import main
from sweeps.session.reports import report_safely
from tests.sweeps.conftest import ROOT, Run
from tests.sweeps.coverage.made import all_told
from tests.sweeps.store.made import write

ANOTHERS = "module://matplotlib_inline.backend_inline"
"""The backend that a notebook sets for all that it starts; it is not installed here."""


def check_said_once(arguments: list[str], script: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    (line,) = [line for line in told.out.splitlines() if line.startswith("no report: ")]
    assert "Is a directory" in line
    assert f"`python analysis/{script}.py " in line


def test_a_report_that_cannot_be_written_is_one_sentence_of_every_command(
    accelsweep: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = write(tmp_path / "results", "new", "s1")
    ended = accelsweep("inference", "--resume", "s1", MPLBACKEND=ANOTHERS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    page = sweep / "report.md"
    assert page.is_file()
    page.unlink()
    page.mkdir()
    again = ["inference", "--resume", "s1", "--output", str(sweep.parent)]
    check_said_once(again, "report", capsys)
    assert main([*again, "--no-report"]) == 0

    store = all_told(tmp_path / "coverage")
    (store.folder / "report_coverage.md").mkdir()
    again = ["op-coverage", "--resume", store.folder.name, "--output", str(tmp_path / "coverage")]
    check_said_once(again, "report_coverage", capsys)


def test_a_mistake_in_drawing_is_one_sentence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> str:
        return str(1 / 0)

    folder = write(tmp_path / "a", "old", "s-one")
    other = write(tmp_path / "b", "new", "s-two")
    monkeypatch.setattr(analysis.recommendation.page, "build", fail)
    told: list[str] = []
    report_safely("report", folder, told.append)
    failure = "no report: ZeroDivisionError: division by zero"
    assert told == [f"{failure}; `python analysis/report.py {folder}` writes it"]
    assert main(["merge", str(folder), str(other), "--output", str(tmp_path / "out")]) == 0
    assert f"{failure}; `python analysis/report.py {tmp_path / 'out'}" in capsys.readouterr().out


def test_what_is_no_sweep_is_told_of_both_kinds(tmp_path: Path) -> None:
    for kind in ("report", "report_coverage"):
        told: list[str] = []
        report_safely(kind, tmp_path, told.append)  # type: ignore[arg-type]
        assert len(told) == 1
        assert f"`python analysis/{kind}.py {tmp_path}` writes it" in told[0]


def test_a_sweep_writes_its_report_in_no_other_way() -> None:
    writes = re.compile(r"write_report|write_coverage_report")
    found = {p.name for p in (ROOT / "sweeps").rglob("*.py") if writes.search(p.read_text(encoding="utf-8"))}
    assert found == {"reports.py"}


def test_figures_are_drawn_by_our_settings_and_leave_the_users_alone(tmp_path: Path) -> None:
    def drawn(name: str) -> bytes:
        with canvas(tmp_path / name, (6, 4)) as drawing:
            axes = drawing.subplots()
            axes.plot([1, 2], [3, 5], label="a line")
            axes.legend()
        return (tmp_path / name).read_bytes()

    plain = drawn("plain.png")
    with mpl.rc_context({"axes.facecolor": "red", "savefig.dpi": 30, "lines.linestyle": ":", "backend": "svg"}):
        assert drawn("theirs.png") == plain
        assert mpl.rcParams["axes.facecolor"] == "red"
        assert mpl.rcParams["backend"] == "svg"
