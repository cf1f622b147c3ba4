"""The package as it would be published: an sdist, the wheel made from it, and that one run from an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.analysis.conftest import Write, row, write_sweep

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, f'build_{sys.argv[1]}')(sys.argv[2]))"
assert write_sweep  # a fixture, which pytest finds by its name here


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [str(w) for w in command], cwd=cwd, capture_output=True, text=True, check=False, env=environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of what git has, unpacked elsewhere."""
    folder = tmp_path_factory.mktemp("sdist")
    source = folder / "source"
    source.mkdir()
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in names.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/reports/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-c", BUILD, "sdist", folder, cwd=source)
    (archive,) = folder.glob("*.tar.gz")
    assert archive.name == f"accelsweep-{VERSION}.tar.gz"
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"accelsweep-{VERSION}"


@pytest.fixture(scope="module")
def installed(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a fresh venv with the wheel alone installed; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-c", BUILD, "wheel", folder, cwd=unpacked)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "v", cwd=folder)
    python = folder / "v" / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    run(sys.executable, "-m", "zipfile", "-e", wheel, site, cwd=folder)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # a path alone: no editable install of it
    return python


def test_the_wheel_lists_sweeps_and_writes_pages_from_an_empty_folder(
    installed: Path, write_sweep: Write, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    command = "import accelsweep, sys; print(accelsweep.__file__); sys.exit(accelsweep.main())"
    sweep = write_sweep([row(i, precision=p, batch_size=b) for i, (p, b) in enumerate((("fp32", 8), ("bf16", 8)))])
    told = run(installed, "-c", command, "report", sweep, "--output", "report.md", "--html", cwd=empty)
    assert "site-packages" in told.splitlines()[0], "not the checkout"
    page = (empty / "report.html").read_text()
    assert "position: sticky" in page, "the style is in the package"
    assert "addEventListener" in page, "the script is, too"
    assert (empty / "figures" / "axes.png").is_file()
    assert (empty / "summary.json").is_file()


def test_the_version_stands_in_one_place_and_the_changelog_knows_it(installed: Path, tmp_path: Path) -> None:
    told = run(installed, "-c", "from importlib.metadata import version; print(version('accelsweep'))", cwd=tmp_path)
    assert told.strip() == VERSION
    assert re.search(rf"^## {re.escape(VERSION)}$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    code = [p for folder in ("sweeps", "workloads", "analysis") for p in (ROOT / folder).rglob("*.py")]
    assert not [p for p in [*code, ROOT / "accelsweep.py"] if f'"{VERSION}"' in p.read_text()]
