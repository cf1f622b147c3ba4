"""Files that run as scripts: importing one changes nothing, and its folder hides no module of the standard library."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    p for folder in ("sweeps", "workloads", "analysis", "tests/benchmarks") for p in (ROOT / folder).rglob("*.py")
]
REPORTS = sorted(p.stem for p in (ROOT / "analysis").glob("*.py") if p.stem.startswith(("report", "compare")))


def runs_as_a_script(path: Path) -> bool:
    source = path.read_text()
    return "__main__" in source and any(
        isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in ast.parse(source).body
    )


FOLDERS = sorted({path.parent for path in SOURCES if runs_as_a_script(path)})
"""Each becomes ``sys.path[0]``, before the standard library."""


def test_the_folders_are_those_that_are_known_to_hold_scripts() -> None:
    assert {ROOT / "sweeps", ROOT / "sweeps" / "launch", ROOT / "analysis"} <= set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_beside_a_script_is_one_of_the_standard_library(folder: Path) -> None:
    names = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not names & sys.stdlib_module_names


def test_importing_a_report_script_leaves_the_path_and_the_modules_alone() -> None:
    assert len(REPORTS) == 13  # twelve reports, and the comparison
    code = f"""
import importlib, sys
before = list(sys.path)
for name in {REPORTS}:
    importlib.import_module(f"analysis.{{name}}")
    assert sys.path == before, name
print(sorted(name for name in ("pandas", "matplotlib") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_docstrings_and_comments_name_files_that_exist() -> None:
    names = {path.name for path in ROOT.rglob("*.py")}
    gone = []
    for path in (*(ROOT / "sweeps").rglob("*.py"), *(ROOT / "workloads").rglob("*.py")):
        told = re.findall(r"``([\w/]+\.py)``|`([\w/]+\.py)`", path.read_text())
        gone += [f"{path.relative_to(ROOT)}: {name}" for name in map("".join, told) if Path(name).name not in names]
    assert not gone, "\n".join(gone)
