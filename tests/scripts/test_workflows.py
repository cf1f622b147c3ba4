"""The workflows of .github, which cannot be run here: every command in them is one that a person can run by hand."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from sweeps.commands import TOOLS
from workloads.registry import workload_names

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RUN = re.compile(r"^\s*- run: (.+)$", re.MULTILINE)


def commands(path: Path) -> list[str]:
    return RUN.findall(path.read_text())


def test_there_is_one_for_macos_and_one_for_linux() -> None:
    assert [path.stem for path in WORKFLOWS] == ["linux", "macos"]
    assert commands(ROOT / ".github/workflows/linux.yml") == [".ci/run"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_step_runs_one_line_that_is_there(path: Path) -> None:
    text = path.read_text()
    assert "\t" not in text
    assert text.count("run:") == len(commands(path)), "a block of lines would hide from this test"
    assert "has not been run" in text
    for command in commands(path):
        words = shlex.split(command)
        if words[:3] == ["python", "-m", "pip"]:
            (extra,) = re.findall(r"\.\[(\w+)\]", command)
            assert f"{extra} = [" in (ROOT / "pyproject.toml").read_text()
            continue
        file = ROOT / words[words[0] == "python"]
        assert file.is_file(), command
        if file.name == "run.py":
            assert words[2] in {*TOOLS, *workload_names()}, command
            assert set(words[3:]) <= {"--smoke"}, command
        else:
            assert words[0] == "python" or os.access(file, os.X_OK), command


def test_macos_runs_the_self_test_and_three_small_sweeps_and_keeps_the_results() -> None:
    run = commands(ROOT / ".github/workflows/macos.yml")
    small = {f"python sweeps/run.py {name} --smoke" for name in ("finetune", "inference", "image-processing")}
    assert {"python sweeps/run.py selftest", *small} <= set(run)
    assert "path: results" in (ROOT / ".github/workflows/macos.yml").read_text()


def test_the_page_for_mac_owners_names_every_line_of_the_self_test_that_it_promises() -> None:
    from sweeps.measure.places import PLACES
    from sweeps.measure.proofs import PER_DEVICE

    titles = {title for title, _ in (*PER_DEVICE, *PLACES)}
    rows = re.findall(r"^\| (\d+) \|.*\| (`.+`) \|$", (ROOT / "docs/mac.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 18))
    assert {name for _, lines in rows for name in re.findall("`(.+?)`", lines)} <= titles
    assert {title for title, _ in PLACES} <= {name for _, lines in rows for name in re.findall("`(.+?)`", lines)}
