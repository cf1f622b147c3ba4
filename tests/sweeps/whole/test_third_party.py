"""A third party's workload through a package that pip installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sweeps.commands import main
from tests.sweeps.conftest import ROOT, Run
from tests.sweeps.installed import install
from tests.sweeps.session.without_ray import put_loop

EXAMPLE = ROOT / "docs" / "examples" / "sort_pixels"


@pytest.mark.slow
def test_an_installed_package_adds_a_workload(accelsweep: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = str(tmp_path / "site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", site, str(EXAMPLE)],
        check=True, capture_output=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    listed = accelsweep("--help", PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
    assert "sort-pixels" in listed.stdout
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    put_loop(monkeypatch)  # in Ray's workers such a package is found as well: test_choosing.py
    assert main(["sort-pixels", "--device", "cpu", "--smoke", "--max-s", "0.1", "--no-report", "--output", "out"]) == 0
    rows = pd.read_parquet(next((tmp_path / "out").iterdir()) / "trials")
    assert rows["status"].tolist() == ["complete"]
    assert rows["workload"].tolist() == ["sort-pixels"]


def test_a_workload_whose_name_is_taken_is_told_of(accelsweep: Run, tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    install(mine, "endings:Endings", "")
    (mine / "endings-1.dist-info" / "entry_points.txt").write_text(
        "[accelsweep.workloads]\ninference = endings:Endings\nnovel = endings:Endings\n"
    )
    install(other, "another:Novel", "")
    (other / "another-1.dist-info" / "entry_points.txt").write_text("[accelsweep.workloads]\nnovel = another:Novel\n")
    path = os.pathsep.join([str(mine), str(other), str(ROOT)])
    listed = accelsweep("--help", PYTHONPATH=path).stdout
    assert "left out: workload 'inference' of endings (endings:Endings): the name is a built-in workload's" in listed
    assert listed.count("left out: workload 'novel'") == 1
    asked = accelsweep("inference", "--dry-run", "--device", "cpu", PYTHONPATH=path)
    assert asked.returncode == 0
    assert asked.stderr.startswith("accelsweep: left out: workload 'inference' of endings")
