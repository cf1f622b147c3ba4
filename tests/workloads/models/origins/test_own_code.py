"""The user's code as text: what it imports comes along, what changes it changes its hash, and git is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from workloads.base import BadInputError
from workloads.models.origins.own_code import code_of, collect, give, is_own, short_name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a file, modules beside it and a package."""
    files = {
        "net.py": "import os\nimport helpers\nfrom parts import block\n\ndef build(): ...\n",
        "helpers.py": "import statistics\nfrom far.away import thing\n",
        "statistics.py": "raise SystemExit\n",
        "far/away.py": "thing = 1\n",
        "unused.py": "",
        "parts/__init__.py": "",
        "parts/block.py": "from . import deep\nfrom .deep import depth\n",
        "parts/deep.py": "depth = 3\n",
        "my-net.py": "def build(): ...\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_file_imports_beside_it_comes_along_and_nothing_else(folder: Path) -> None:
    code = collect("net.py:build")
    assert next(iter(code.files)) == "net.py"
    assert set(code.files) == {
        "net.py",
        "helpers.py",
        "far/away.py",
        "parts/__init__.py",
        "parts/block.py",
        "parts/deep.py",
    }
    assert (code.name, code.attribute, code.is_installed) == ("net.py:build", "build", False)


def test_a_module_is_found_without_importing_anything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "parts" / "__init__.py").write_text("raise SystemExit('imported')\n")
    code = collect("parts.block:build")
    assert code.module == "parts.block"
    assert set(code.files) == {"parts/block.py", "parts/__init__.py", "parts/deep.py"}
    assert collect("parts/block.py:build").module == "parts.block", "a file in a package is its module"
    assert collect("my-net.py:build").module == "accelsweep_model_my_net"
    installed = collect("sklearn.datasets:load_digits")
    assert installed.is_installed
    assert len(installed.files) == 1
    assert installed.commit is None


def test_relative_imports_make_packages_of_the_folders_that_they_lead_to(folder: Path) -> None:
    (folder / "far" / "net.py").write_text("from .away import thing\nfrom ..helpers import statistics\n")
    code = collect("far/net.py:build")
    assert (code.module, set(code.files)) == (
        f"{folder.name}.far.net", {f"{folder.name}/{file}" for file in ("far/net.py", "far/away.py", "helpers.py")}
    )  # fmt: skip
    (folder / "far" / "net.py").write_text("from .away import thing\n")
    code = collect("far/net.py:build")
    assert (code.module, set(code.files)) == ("far.net", {"far/net.py", "far/away.py"})


def test_each_change_of_what_travels_changes_the_hash(folder: Path) -> None:
    before = collect("net.py:build").digest
    (folder / "unused.py").write_text("x = 1\n")
    assert collect("net.py:build").digest == before
    (folder / "parts" / "deep.py").write_text("depth = 4\n")
    assert collect("net.py:build").digest != before
    assert collect("net.py:other").digest != collect("net.py:build").digest


def test_the_commit_says_whether_the_files_are_what_it_holds(folder: Path) -> None:
    def git(*words: str) -> None:
        named = ["-c", "user.name=n", "-c", "user.email=e@x"]
        subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True)

    assert collect("net.py:build").commit is None
    git("init", "-q")
    git("add", "net.py", "helpers.py", "parts", "far")
    git("commit", "-q", "-m", "first")
    commit = collect("net.py:build").commit
    assert commit is not None
    assert len(commit) == 12
    (folder / "unused.py").write_text("y = 2\n")
    assert collect("net.py:build").commit == commit, "what does not travel does not count"
    (folder / "helpers.py").write_text("x = 1\n")
    assert collect("net.py:build").commit == f"{commit}+"
    assert (collect("my-net.py:build").commit or "").endswith("+"), "not in git"


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("gone.py:build", r"--model: 'gone.py:build': 'gone.py' is not a file"),
        ("no.such.module:build", "there is no module 'no.such.module'"),
        ("broken.py:build", r"'broken.py:build': broken.py:2: SyntaxError: "),
        ("binary.py:build", "'binary.py' cannot be read"),
    ],
)
def test_what_is_no_code_is_said_in_one_line(folder: Path, name: str, match: str) -> None:
    (folder / "broken.py").write_text("def build():\n    return (\n")
    (folder / "binary.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match=match):
        collect(name)


def test_names_are_short_where_a_path_says_whose_it_is() -> None:
    assert short_name("net.py:f") == "net.py:f"
    assert short_name("models/net.py:f") == "models/net.py:f"
    assert short_name("/home/somebody/net.py:f") == "net.py:f"
    assert short_name("../net.py:f") == "net.py:f"
    assert short_name("package.module:f") == "package.module:f"
    assert [is_own(name) for name in ("net.py:f", "a.b:c", "resnet18", "net.py", "a b:c")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_code_that_was_given_counts_and_not_what_lies_here(folder: Path) -> None:
    code = collect("net.py:build")
    give(code)
    (folder / "net.py").write_text("def build(): return 1\n")
    assert code_of("net.py:build") is code
    give(collect("net.py:build"))
    assert code_of("net.py:build").digest != code.digest
