"""The house's one-way imports, read from the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [p for folder in ("sweeps", "workloads", "analysis") for p in sorted((ROOT / folder).rglob("*.py"))]
MAY_IMPORT_RAY = re.compile(r"sweeps/(launch\w*|trial)\.py")
FORBIDDEN = {
    "analysis": {"torch", "torchvision", "ray", "optuna", "sweeps", "workloads"},
    "workloads": {"ray", "sweeps", "analysis"},
}
NAMES_A_DEVICE = re.compile(r"""["'](cuda|mps|xpu)(:\d+)?["']|\btorch\.(cuda|mps|xpu|backends\.mps)\b""")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def code_without_strings_of_help(path: Path) -> str:
    """The source less docstrings and comments, which may speak of devices."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))
            ] or [ast.Pass()]
    return ast.unparse(tree)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    names = imported(path)
    folder = name.split("/", maxsplit=1)[0]
    assert not names & FORBIDDEN.get(folder, set())
    if folder == "sweeps" and not MAY_IMPORT_RAY.fullmatch(name):
        assert "ray" not in names
    if name.startswith("sweeps/") and not name.startswith("sweeps/pruning"):
        assert "optuna" not in names


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_device_module_names_devices(path: Path) -> None:
    if str(path.relative_to(ROOT)) == "sweeps/measure/device/device.py":
        return
    assert not NAMES_A_DEVICE.findall(code_without_strings_of_help(path))


def test_a_command_line_is_read_without_torchvision_and_the_compiler_it_imports() -> None:
    code = """
import sys
from workloads.registry import load_workload, workload_names
for name in workload_names():
    load_workload(name)
print(sorted({"torchvision", "torch._dynamo"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", "seconds that --help and an error in an option would wait for"
