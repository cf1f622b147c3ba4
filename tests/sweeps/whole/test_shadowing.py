"""Files where the user is, of names that Python, torch, Ray or we have: nothing of them runs, in no process of a sweep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from sweeps.coverage.child_process import START_TIMEOUT_S, OperationChild
from tests.sweeps.conftest import ROOT

MODULES = ("statistics.py", "random.py", "ray.py", "torch.py", "numpy.py", "sweeps/__init__.py", "workloads/__init__.py",
           "analysis/__init__.py")  # fmt: skip


@pytest.fixture
def shadowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the user is, with modules that leave a file named ``ran`` when they are imported."""
    for module in MODULES:
        file = tmp_path / module
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{module} ')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_sweep_runs_and_its_paths_mean_the_users_folder(shadowed: Path) -> None:
    (shadowed / "pictures").mkdir()
    for i, image in enumerate(load_sample_images().images):
        Image.fromarray(image).save(shadowed / "pictures" / f"{i}.jpg")
    command = [sys.executable, str(ROOT / "sweeps" / "run.py"), "image-processing", "--smoke", "--device", "cpu", "--batch-size", "1",
               "--pipeline", "decode", "--images", "pictures", "--output", "mine", "--no-report"]  # fmt: skip
    path = os.pathsep.join(["", str(ROOT)])  # as `export PYTHONPATH=$PYTHONPATH:...` leaves it
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    (sweep,) = (shadowed / "mine").iterdir()
    assert pd.read_parquet(sweep / "trials")["status"].tolist() == ["complete"]
    assert not (shadowed / "ran").exists(), (shadowed / "ran").read_text()


def test_a_child_of_a_coverage_sweep_starts(shadowed: Path) -> None:
    child = OperationChild({})
    try:
        answers = list(child.ask({"command": "list", "recording": {}, "models": []}, START_TIMEOUT_S))
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
