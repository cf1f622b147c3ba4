"""A sweep from Python: the same checks and messages as the command line's. One that runs: ``whole/faulty/test_odd_places.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps import sweep

ROOT = Path(__file__).parent.parent.parent


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
