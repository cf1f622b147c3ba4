"""A sweep from Python: the same checks, messages and rows as the command line's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps import sweep

ROOT = Path(__file__).parent.parent.parent
NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
"""
SHOWN = next(
    b for b in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "import sweep" in b
)


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that other tests of this process share."""
    if "ray" in sys.modules:
        monkeypatch.setattr(sys.modules["ray"], "is_initialized", lambda: False)


def test_importing_it_imports_nothing_heavy() -> None:
    script = (
        "import sys, sweeps; print(sorted({'torch', 'ray', 'pandas', 'numpy', 'optuna', 'tyro'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": [0]}, ["--batch-size", "0"]),
        ({"device": "tpu9"}, ["--device", "tpu9"]),
        ({"model": "resnet51"}, ["--model", "resnet51"]),
        ({"no_such_option": 3}, ["--no-such-option", "3"]),
        ({"precision": ["fp32", "fp12"]}, ["--precision", "fp32", "fp12"]),
        ({"min_rounds": 0.5}, ["--min-rounds", "0.5"]),
    ],
)
def test_bad_values_are_a_value_error_with_the_command_lines_message(
    options: dict, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from sweeps.commands import main

    with pytest.raises(ValueError) as raised:  # noqa: PT011 (the message is the command line's, compared below)
        sweep("inference", **options)
    assert main(["inference", *words]) == 2
    assert capsys.readouterr().err == f"accelsweep: error: {raised.value}\n"


def test_what_is_no_sweep_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for workload in ("inferenc", "report", ""):
        with pytest.raises(
            ValueError, match=r"^unknown workload '\w*'; allowed: image-processing, inference, finetune"
        ):
            sweep(workload)
    with pytest.raises(ValueError, match="accelsweep inference --help"):
        sweep("inference", help=True)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    with pytest.raises(RuntimeError, match=r"call ray.shutdown\(\) first"):
        sweep("inference")


def test_a_dry_run_gives_the_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = sweep("inference", batch_size=[1, 2], precision="fp32", device=["cpu"], dry_run=True, recheck=None)
    assert frame["batch_size"].tolist() == [1, 2]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_the_readme_shows_runs_as_a_script_without_a_guard_and_gives_the_rows(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    assert len(SHOWN.strip().splitlines()) <= 5
    script = SHOWN.replace('device=["cpu"]', 'device=["cpu"], smoke=True, max_s=0.1, report=False')
    assert script != SHOWN
    (tmp_path / "mine.py").write_text(f"open('ran.txt', 'a').write('once ')\n{script}\nframe.to_csv('rows.csv')\n")
    ended = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "ran.txt").read_text() == "once "
    from analysis.read.sweep import load_sweep

    rows = load_sweep(tmp_path / "results")
    assert set(rows["status"]) == {"complete"}
    assert sorted(rows["batch_size"]) == [1, 8]
    assert set(rows["model"]) == {"net.py:build"}
    assert "throughput_items_per_s" in ended.stdout
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == len(rows) + 1
