"""The installed command where other packages have our packages' names: one line that names the file in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accelsweep import NAMES

ROOT = Path(__file__).parent.parent


def told(*path: Path) -> subprocess.CompletedProcess[str]:
    """What the installed command does with these folders on Python's path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [
        sys.executable,
        "-P",
        "-c",
        "import sys, accelsweep; sys.argv = ['accelsweep', '--help']; sys.exit(accelsweep.main())",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["package", "module"])
def test_a_package_of_others_that_is_found_first_is_named(name: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / name / "__init__.py" if kind == "package" else tmp_path / f"{name}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('code that nobody asked for')")
    ended = told(tmp_path, ROOT)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"accelsweep: error: {str(file)!r} is of another package")
    assert ended.stderr.count("\n") == 1


def test_a_package_of_others_that_was_installed_over_ours_is_named(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / name / "__init__.py", tmp_path / name)
    shutil.copy(ROOT / "accelsweep.py", tmp_path)
    (tmp_path / "sweeps" / "__init__.py").write_text("from .run import next_run\n")
    ended = told(tmp_path)
    assert ended.returncode == 2
    assert repr(str(tmp_path / "sweeps" / "__init__.py")) in ended.stderr


def test_among_our_own_packages_alone_nothing_is_in_the_way() -> None:
    ended = told(ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "finetune" in ended.stdout
