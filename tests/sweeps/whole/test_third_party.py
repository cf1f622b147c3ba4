"""A third party's workload through an installed package, and what its exceptions become."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.sweeps.conftest import ROOT, Run
from tests.sweeps.installed import install

EXAMPLE = ROOT / "docs" / "examples" / "sort_pixels"

ENDINGS = '''
import torch
from dataclasses import dataclass
from typing import Literal
from sort_pixels import SortPixels
from workloads.base import Defaults, UnsupportedError

@dataclass(frozen=True, kw_only=True)
class EndingsOptions:
    ending: tuple[str, ...] = ("fine", "oom", "unsupported", "error", "fine-again")

class Endings(SortPixels):
    """Raise in every way."""
    name, Options = "endings", EndingsOptions
    defaults = Defaults(batch_size=(1,), precision=("fp32",))

    def step(self):
        super().step()
        {
            "oom": lambda: torch.empty(2**48),
            "unsupported": lambda: torch.linalg.svd(torch.ones(3, 3, dtype=torch.half)),
            "error": lambda: {}["no such thing"],
        }.get(self.context.options.ending[0], lambda: None)()
'''


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example installed by pip, and the workload of endings beside it."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(folder), str(EXAMPLE)],
        check=True, capture_output=True,
    )  # fmt: skip
    return install(folder, "endings:Endings", ENDINGS)


def test_an_installed_package_adds_a_workload(accelsweep: Run, site: Path, tmp_path: Path) -> None:
    listed = accelsweep("--help", PYTHONPATH=f"{site}{os.pathsep}{ROOT}")
    assert "sort-pixels" in listed.stdout
    ended = accelsweep(
        "sort-pixels", "--device", "cpu", "--smoke", "--no-report", "--output", "out",
        PYTHONPATH=f"{site}{os.pathsep}{ROOT}",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = pd.read_parquet(next((tmp_path / "out").iterdir()) / "trials")
    assert rows["status"].tolist() == ["complete"]
    assert rows["workload"].tolist() == ["sort-pixels"]


@pytest.mark.slow
def test_every_exception_is_one_row_and_costs_only_its_own_cell(accelsweep: Run, site: Path, tmp_path: Path) -> None:
    ended = accelsweep(
        "endings", "--device", "cpu", "--min-s", "0.05", "--max-s", "0.1", "--min-rounds", "1", "--no-report",
        "--output", "out", PYTHONPATH=f"{site}{os.pathsep}{ROOT}",
    )  # fmt: skip
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    rows = pd.read_parquet(next((tmp_path / "out").iterdir()) / "trials")
    rows["ending"] = rows["options"].str.extract(r'"ending": "([^"]+)"')
    statuses = rows.set_index("ending")["status"].to_dict()
    assert statuses == {
        "fine": "complete", "oom": "oom", "unsupported": "unsupported", "error": "error", "fine-again": "complete",
    }  # fmt: skip
    error = rows.set_index("ending").loc["error"]
    assert error["error_type"] == "KeyError"
    assert "no such thing" in error["error_message"]
    assert "endings.py" in error["error_frames"]
    assert str(Path.home()) not in error["error_frames"]
    clean = rows[rows["ending"].isin(["fine", "fine-again"])]
    assert clean["worker_pid"].nunique() == 2, "a worker that ended badly is replaced"


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
