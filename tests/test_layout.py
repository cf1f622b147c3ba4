"""Where things stand: tests beside what they test, few entries a folder, packages that say what they are, short files."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("sweeps", "workloads", "analysis")
MAX_ENTRIES = 14
MAX_LINES = 254
NOT_COUNTED = re.compile(r"analysis/report\w*\.py")
"""The report scripts, each a command of its own that a user starts by its path."""
CROSS_CUTTING = {
    "tests/test_accelsweep.py": "accelsweep.py, which stands beside the packages",
    "tests/scripts/test_check_pages.py": "scripts/check_pages",
    "tests/scripts/test_language.py": "the words of all packages, docs/ and README.md",
    "tests/scripts/test_macos_names.py": "scripts/macos_names.py",
    "tests/scripts/test_package.py": "pyproject.toml: the sdist and the wheel",
    "tests/scripts/test_workflows.py": ".github/workflows and docs/mac.md, which cannot be run here",
    "tests/test_imports.py": "the one-way imports of all packages",
    "tests/test_layout.py": "this file",
    "tests/test_named_files.py": "the files that pages and comments name",
    "tests/test_scripts.py": "every file that runs as a script",
    "tests/test_promises.py": "docs/promises.md",
    "tests/test_readme.py": "README.md",
    "tests/fakegpu/test_inside.py": "starts the tests of its folder inside in processes that have an accelerator",
    "tests/fakegpu/inside/test_device.py": "tests/fakegpu itself",
    "tests/fakegpu/inside/test_clocks.py": "every clock of ours, on work that a launch does not wait for",
    "tests/fakegpu/inside/test_layer.py": "sweeps/measure/device and what stands on it, on tests/fakegpu",
    "tests/fakegpu/inside/test_sweeps.py": "sweeps on tests/fakegpu, from their options to their rows",
    "tests/fakegpu/inside/test_kinds.py": "tests/fakegpu itself, as an Apple GPU and as a discrete one",
    "tests/analysis/contract/test_one_front.py": "one front in the report, the pruning page and the summary of a search",
    "tests/analysis/page/test_superlatives.py": "which cell the pages of all subjects and the terminal put first",
    "tests/analysis/page/test_hostile_text.py": "one text through every report and every helper of the pages",
    "tests/analysis/subjects/test_every_subject.py": "what holds of all subjects alike",
    "tests/sweeps/cell/test_divergence.py": "a training that diverges, from its rounds to its row",
    "tests/sweeps/cell/test_sending.py": "a cell sent as its workload says, from set-up to row",
    "tests/sweeps/choosing/test_margin_pruner.py": "the pruner that holds others back, as optuna_study makes it",
    "tests/analysis/page/test_nan.py": "a cell of NaN, through the pages of all subjects, report and comparison",
    "tests/sweeps/choosing/test_pruning.py": "the pruned grid, the search and the studies that both write",
    "tests/sweeps/measure/test_public_names.py": "the names that the package hands on",
    "tests/sweeps/plan/test_any_config.py": "any configuration, through options, configuration and JSON",
    "tests/sweeps/plan/test_any_text.py": "any text, through every parser of the command line",
    "tests/sweeps/store/test_any_prefix.py": "a sweep cut after any of its writes, through ledger, store and lock",
    "tests/sweeps/store/test_compaction.py": "joining part files while a sweep runs, through part files and store",
    "tests/sweeps/store/test_strangers.py": "copies among a sweep's files, through list, resume, joining, merge and reports",
    "tests/sweeps/store/test_damage.py": "damaged files, through checksums, part files and store",
    "tests/workloads/test_workloads.py": "the three workloads side by side",
}
"""Tests that are of no single module, and of what they are."""
WHOLE = "tests/sweeps/whole/"
"""Tests that start whole sweeps, most with real Ray, named after what happens to them."""


def tracked(*patterns: str) -> list[Path]:
    """Files of the checkout by git's patterns, new ones included, as paths below its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [Path(name) for name in listed if (ROOT / name).exists()]


PRODUCTION = tracked(*(f"{package}/*.py" for package in PACKAGES))
TESTS = [path for path in tracked("tests/*.py") if path.name.startswith("test_")]
FOLDERS = sorted({folder for path in tracked(*PACKAGES, "tests") for folder in path.parents} - {Path()})


def test_a_test_stands_beside_what_it_tests() -> None:
    beside = {test: Path(*test.parts[1:]).with_name(test.stem.removeprefix("test_")) for test in TESTS
              if str(test) not in CROSS_CUTTING and not str(test).startswith(WHOLE)}  # fmt: skip
    assert len(beside) > 100
    alone = [
        f"{test}: no module {tested}: move the test, or say in CROSS_CUTTING of what it is"
        for test, tested in beside.items()
        if not (ROOT / tested).with_suffix(".py").exists() and not (ROOT / tested / "__init__.py").exists()
    ]
    assert not alone, "\n".join(alone)


def test_the_cross_cutting_tests_are_there() -> None:
    assert {str(test) for test in TESTS} >= set(CROSS_CUTTING)
    assert any(str(test).startswith(WHOLE) for test in TESTS)


def test_no_test_takes_anything_from_another_test() -> None:
    for path in tracked("tests/*.py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            taken = [name for name in names if name.startswith("tests.") and ".test_" in name]
            assert not taken, f"{path}: {taken}; what tests share has a file of its own"


def test_no_folder_shows_more_than_can_be_taken_in_at_a_glance() -> None:
    entries = {entry for path in tracked(*PACKAGES, "tests") for entry in (path, *path.parents)} - {Path()}
    counted = Counter(entry.parent for entry in entries if not NOT_COUNTED.fullmatch(str(entry)))
    del counted[Path()]
    assert len(counted) > 40, "git lists the folders"
    assert {str(folder): n for folder, n in counted.items() if n > MAX_ENTRIES} == {}


def test_a_package_says_what_it_is_and_what_it_may_import() -> None:
    packages = sorted({path.parent for path in PRODUCTION})
    texts = {package: (ROOT / package / "__init__.py").read_text() for package in packages}
    told = {package: ast.get_docstring(ast.parse(text)) or "" for package, text in texts.items()}
    assert len(told) > 20
    assert [str(package) for package, text in told.items() if len(text) < 31 or "may import" not in text.lower()] == []


def test_files_are_short_enough_to_be_read_in_one_go() -> None:
    lines = {str(path): len((ROOT / path).read_text().splitlines()) for path in PRODUCTION}
    assert {path: n for path, n in lines.items() if n > MAX_LINES} == {}
