"""Files where the user is, of names that Python, torch, Ray or we have: nothing of them runs.

In a whole sweep neither: ``test_private.py`` has them in the user's home.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.coverage.child_process import START_TIMEOUT_S, OperationChild
from sweeps.coverage.options import SOURCE_NAMES
from tests.sweeps.conftest import ROOT
from tests.sweeps.whole.driving import shadow


@pytest.fixture
def shadowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the user is, with modules that leave a file named ``ran`` when they are imported."""
    shadow(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_child_of_a_coverage_sweep_starts(shadowed: Path) -> None:
    child = OperationChild({})
    try:
        answers = list(
            child.ask({"command": "list", "recording": {}, "models": [], "sources": SOURCE_NAMES}, START_TIMEOUT_S)
        )
    finally:
        child.close()
    assert len(answers[0]["operations"]) > 100
    assert not (shadowed / "ran").exists(), (shadowed / "ran").read_text()


@pytest.mark.parametrize("command", [["-m", "sweeps.run"], [str(ROOT / "sweeps" / "run.py")]])
@pytest.mark.parametrize("path", [f"{ROOT}", f"{os.pathsep}{ROOT}"])
def test_a_module_named_as_pythons_is_not_imported_by_the_command_itself(
    shadowed: Path, command: list[str], path: str
) -> None:
    for name in ("sweeps", "workloads", "analysis"):  # Python itself takes these for `-m`, before a line of ours
        (shadowed / name / "__init__.py").unlink()
        (shadowed / name).rmdir()
    done = subprocess.run(
        [sys.executable, *command, "list"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (done.returncode, done.stdout) == (0, "no sweeps in 'results'\n"), done.stderr
    assert not (shadowed / "ran").exists(), (shadowed / "ran").read_text()
