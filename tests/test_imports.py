"""The house's one-way imports, read from the source: a package imports only what stands below it."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [p for folder in ("sweeps", "workloads", "analysis") for p in sorted((ROOT / folder).rglob("*.py"))]
SWEEPS = (
    "sweeps.run", "sweeps.api", "sweeps.commands", "sweeps.coverage", "sweeps.coverage.child", "sweeps.session", "sweeps.launch", "sweeps.scheduling",
    "sweeps.choosing", "sweeps.cell", "sweeps.store", "sweeps.plan",
    "sweeps.measure", "sweeps.measure.monitors", "sweeps.measure.timing", "sweeps.measure.device", "sweeps.text",
)  # fmt: skip
"""From the top floor down. The longest name that a module begins with is its floor."""
ANALYSIS = (
    "analysis.recommendation", "analysis.comparison", "analysis.subjects", "analysis.page", "analysis.figures",
    "analysis.cells", "analysis.stats", "analysis.read", "analysis.text", "analysis.contract",
)  # fmt: skip
SIDE_BY_SIDE = ("analysis.recommendation", "analysis.comparison", "analysis.subjects")
"""Pages, of which none imports another; nor does a subject another subject."""
SHARED = "analysis.contract"
"""What ``sweeps`` may import of ``analysis`` at import time; the pages are written late, by name."""
ONLY = {
    "ray": re.compile(r"sweeps/launch/((team|servers)/)?\w+\.py"),
    "optuna": re.compile(r"sweeps/choosing/\w+\.py"),
}
FORBIDDEN = {
    "analysis": {"torch", "torchvision", "ray", "optuna", "sweeps", "workloads"},
    "workloads": {"ray", "optuna", "sweeps", "analysis"},
}
DEVICE_FILES = {"sweeps/measure/device/device.py", "sweeps/measure/device/here.py"}
"""The second reads in torch's own files what it is built for, so that nobody need import it to ask."""
NAMES_A_DEVICE = re.compile(
    r"""["'](cuda|mps|xpu|hpu|npu|mtia|privateuseone|fakegpu)(:\d+)?["']|\btorch\.(cuda|mps|xpu|hpu|npu|mtia|backends\.mps)\b"""
)
EVERY_TORCH_HAS = {"cpu", "meta"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] in {"__init__", "__main__"} else parts)


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever in it; of ``from package import module`` the module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def floor(module: str, floors: tuple[str, ...]) -> str | None:
    """The longest of the names that a module is or lies in."""
    inside = [name for name in floors if f"{module}.".startswith(f"{name}.")]
    return max(inside, key=len, default=None)


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


def test_imports_run_one_way() -> None:
    wrong = []
    for path in SOURCES:
        name = name_of(path)
        packages = {module.split(".")[0] for module in imported(path)}
        forbidden = packages & FORBIDDEN.get(name.split("/", maxsplit=1)[0], set())
        forbidden |= {package for package, where in ONLY.items() if not where.fullmatch(name)} & packages
        wrong += [f"{package} is not for {name}" for package in sorted(forbidden)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("floors", [SWEEPS, ANALYSIS], ids=["sweeps", "analysis"])
def test_a_package_imports_only_what_stands_below_it(floors: tuple[str, ...]) -> None:
    upward = []
    for path in SOURCES:
        here = floor(module_of(path), floors)
        for module in sorted(imported(path)):
            there = floor(module, floors)
            if here and there and floors.index(there) < floors.index(here):
                upward.append(f"{name_of(path)} -> {module}")
    assert not upward, "\n".join(upward)


def test_pages_do_not_import_each_other() -> None:
    page = re.compile(rf"({'|'.join(re.escape(p) for p in SIDE_BY_SIDE)})(\.\w+)?")
    sideways = []
    for path in SOURCES:
        here = page.match(module_of(path))
        found = {there[0] for module in imported(path) if here and (there := page.match(module))}
        mine = here[0] if here and here[1] == "analysis.subjects" else here and here[1]
        sideways += [f"{name_of(path)} -> {other}" for other in found if not other.startswith(str(mine))]
    assert not sideways, "\n".join(sideways)


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = {module_of(path): path for path in SOURCES}
    needs = {
        name: {needed for module in imported(path) if (needed := floor(module, tuple(modules))) and needed != name}
        for name, path in modules.items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_package_stands_on_a_floor() -> None:
    for path in SOURCES:
        module = module_of(path)
        if module in {"sweeps", "analysis"} or (path.parent == ROOT / "analysis" and path.stem != "text"):
            continue  # the two faces, and the scripts, which import a page by its name
        if not module.startswith("workloads"):
            assert floor(module, SWEEPS + ANALYSIS), module


def test_only_the_device_module_names_devices() -> None:
    named = {  # a file that has no such name with its docstrings has none without them
        name_of(path): NAMES_A_DEVICE.findall(code_without_strings_of_help(path))
        for path in SOURCES
        if name_of(path) not in DEVICE_FILES and NAMES_A_DEVICE.search(path.read_text())
    }
    assert {name: found for name, found in named.items() if found} == {}


def told_apart_by_name(source: str) -> list[str]:
    """Comparisons of a device's type, or of a name for one, with any name but those that every torch has."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        leaves = [
            leaf
            for side in sides
            for leaf in (side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side])
        ]
        is_of_device = any(re.search(r"device(_type|_name)?(\.type)?$", ast.unparse(leaf)) for leaf in leaves)
        names = {leaf.value for leaf in leaves if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)}
        if is_of_device and names - EVERY_TORCH_HAS:
            found.append(ast.unparse(node))
    return found


def test_no_device_is_told_from_its_name() -> None:
    wrong = ['device.type == "hpu"', 'cell.device in ("npu", "mps")', 'x if self._device.type != "abc" else y']
    assert all(told_apart_by_name(text) for text in wrong)
    assert not told_apart_by_name('device.type == "cpu" or made.device.type != "meta"')
    found = {name_of(p): told_apart_by_name(p.read_text()) for p in SOURCES if name_of(p) not in DEVICE_FILES}
    assert {name: told for name, told in found.items() if told} == {}


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


def names_in(module: str) -> set[str]:
    """What a file of ours binds at its top level, conditions and imports included; of a package its modules as well."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    bound = {file.stem for file in path.iterdir()} if path.is_dir() else set()
    for node in ast.walk(ast.parse(file.read_text()) if file.is_file() else ast.Module(body=[], type_ignores=[])):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            bound |= set(node.value.split())  # what a package gives late, by the names that it lists
    return bound


def test_benchmarks_which_no_test_runs_import_what_is_there() -> None:
    ours = {"sweeps", "workloads", "analysis", "tests"}
    missing = [
        f"{name_of(path)}: {node.module}.{alias.name}"
        for path in sorted((ROOT / "tests" / "benchmarks").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in ours
        for alias in node.names
        if alias.name not in names_in(node.module)
    ]
    assert not missing
