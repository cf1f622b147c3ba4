"""``compare --json`` in its documented schema, and the example workflow that fails a pull request by its exit code."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from analysis.page.command_line import run_script
from sweeps.commands import TOOLS
from tests.analysis.conftest import Write, row
from workloads.registry import workload_names

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "comparison.schema.json").read_text())
WORKFLOW = ROOT / "docs" / "examples" / "regression.yml"


def runs(write_sweep: Write, name: str, step_s: float, n: int = 5, **values: Any) -> list[Path]:
    """Sweeps of two cells each, a percent apart from one to the next."""
    return [
        write_sweep([row(j, batch_size=8 * (j + 1), step_median_s=step_s * (1 + 0.002 * (i % 3)) * (j + 1), **values)
                     for j in range(2)], f"results/{name}/{i}/s")
        for i in range(n)
    ]  # fmt: skip


def compare_command() -> list[str]:
    """The words of the example's comparison."""
    (line,) = re.findall(r"accelsweep compare (.+?) \|\| code", WORKFLOW.read_text())
    return shlex.split(line)


@pytest.mark.parametrize(
    ("head_s", "n", "code", "word"),
    [(0.1, 5, 0, "no regression"), (0.15, 5, 3, "regression"), (0.1, 1, 4, "undecided")],
)
def test_the_examples_comparison_has_the_documented_exit_code_and_json(
    write_sweep: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head_s: float, n: int, code: int, word: str
) -> None:
    runs(write_sweep, "base", 0.1, n)
    runs(write_sweep, "head", head_s, n)
    monkeypatch.chdir(tmp_path)
    assert run_script("compare", compare_command()) == code
    told = json.loads(Path("compare.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert (told["verdict"], told["exit_code"], told["baseline"], told["sides"]) == (word, code, "base", ["head"])
    assert (told["why"] is None) == (code == 0)
    assert [cell["cell"]["batch_size"] for cell in told["cells"]] == [8, 16]
    assert {cell["verdict"] for cell in told["cells"]} == {{0: "same", 3: "slower", 4: "one run"}[code]}
    assert Path("compare.html").exists()


def test_a_cell_that_fails_now_is_an_outcome(
    write_sweep: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(write_sweep, "base", 0.1)
    runs(write_sweep, "head", 0.1, status="crashed", status_reason="killed", throughput_items_per_s=None)
    monkeypatch.chdir(tmp_path)
    assert run_script("compare", compare_command()) == 3
    told = json.loads(Path("compare.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert [(o["baseline_status"], o["other_status"]) for o in told["outcomes"]] == [("complete", "crashed")] * 2


def test_every_step_of_the_example_is_one_that_can_run() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    steps = workflow["jobs"]["compare"]["steps"]
    assert workflow[True] == "pull_request", "YAML reads on as true"
    for step in steps:
        assert set(step) & {"uses", "run"}
        if "run" in step:
            shown = re.sub(r"\$\{\{.*?\}\}", "x", step["run"])
            subprocess.run(["bash", "-n", "-c", shown], check=True)
            commands = re.findall(r"bin/accelsweep\"? (\S+)", shown)
            assert set(commands) <= {*TOOLS, *workload_names(), "compare"}, commands
    assert "has not been run" in WORKFLOW.read_text()
    documented = (ROOT / "docs" / "regressions.md").read_text()
    assert "examples/regression.yml" in documented
    for code in (0, 2, 3, 4):
        assert f"| {code} |" in documented
