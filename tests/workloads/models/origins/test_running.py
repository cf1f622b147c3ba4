"""The user's own code run from its text, wherever it came from."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from sweeps.cell.outcome import outcome_of
from workloads.base import BadInputError, UnsupportedError
from workloads.models.origins.loaded import LoadedModel
from workloads.models.origins.own import CodeEndsError, build
from workloads.models.origins.own_code import Code, collect, give
from workloads.models.origins.running import _entered, made, own_frame, told

NET = """
from __future__ import annotations
import dataclasses, functools, torch
from torch import nn
import helpers

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layer = nn.Linear(helpers.SIZE, width)

    def forward(self, x):
        return helpers.through(self.layer, x)

    @classmethod
    def wide(cls):
        return cls(9)

@dataclasses.dataclass
class Options:
    width: int = 3

def build():
    return Net(Options().width)

def pair():
    return Net().half(), torch.zeros(1, 5)

needs = lambda width, *more, depth=2: Net(width)
ready = Net(2)
part = functools.partial(Net, 7)
number = 5
nothing = lambda: None

def leaves():
    raise SystemExit(3)
"""
HELPERS = """
SIZE = 5

def through(layer, x):
    return layer(x)
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "helpers.py").write_text(HELPERS)
    monkeypatch.chdir(tmp_path)
    return collect("net.py:build")


def of(code: Code, attribute: str) -> LoadedModel:
    give(dataclasses.replace(code, name=f"net.py:{attribute}", attribute=attribute))
    return build(f"net.py:{attribute}", True, None)


@pytest.mark.parametrize(
    ("attribute", "width"), [("build", 3), ("Net", 4), ("Net.wide", 9), ("ready", 2), ("part", 7), ("pair", 4)]
)
def test_a_function_a_class_a_method_or_a_module_gives_the_network(code: Code, attribute: str, width: int) -> None:
    loaded = of(code, attribute)
    assert loaded.module(torch.zeros(2, 5)).shape == (2, width)
    assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}
    assert loaded.code == dataclasses.replace(code, attribute=attribute).digest
    assert (loaded.example is not None) == (attribute == "pair")


def test_the_text_is_run_and_not_what_lies_on_the_disk_now(code: Code, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").unlink()
    (tmp_path / "net.py").write_text("raise SystemExit\n")
    assert made(code)(torch.zeros(1, 5)).shape == (1, 3)
    assert made(dataclasses.replace(code, root="/no/such/place"))(torch.zeros(1, 5)).shape == (1, 3)


def test_it_runs_where_the_user_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef build(): return nn.Linear(int(open('n.txt').read()), 2)\n"
    )
    (tmp_path / "n.txt").write_text("3")
    monkeypatch.chdir(tmp_path)
    code = collect("net.py:build")
    monkeypatch.chdir("/")
    assert made(code).in_features == 3
    assert Path.cwd() == Path("/")
    with pytest.raises(FileNotFoundError):
        made(dataclasses.replace(code, folder="/no/such/place"))


def test_relative_and_absolute_imports_of_what_lies_beside_a_file_both_work(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "net.py").write_text(NET.replace("import helpers", "import helpers\nfrom .helpers import SIZE"))
    (folder / "helpers.py").write_text(HELPERS)
    _entered.leave()
    before = list(sys.path)
    assert made(collect(f"{folder}/net.py:build"))(torch.zeros(1, 5)).shape == (1, 3)
    _entered.leave()
    assert sys.path == before


def test_two_codes_with_modules_of_one_name_do_not_meet(code: Code, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "net.py").write_text(NET)
    (other / "helpers.py").write_text(HELPERS.replace("5", "6"))
    theirs = collect(f"{other}/net.py:build")
    assert made(code).layer.in_features == 5
    assert made(theirs).layer.in_features == 6
    assert made(code).layer.in_features == 5
    assert sys.modules["helpers"].SIZE == 5


@pytest.mark.parametrize(
    ("attribute", "match"),
    [
        ("bild", r"--model: 'net.py:bild': there is no 'bild' in it; functions and classes: Net, Options, build"),
        ("needs", r"needs arguments \(width\); write a function without any"),
        ("number", "is a int, not a function or class"),
        ("nothing", r"gives NoneType; allowed: a torch.nn.Module"),
        ("Options", r"gives Options; allowed: a torch.nn.Module"),
    ],
)
def test_what_gives_no_network_is_said_in_one_line(code: Code, attribute: str, match: str) -> None:
    with pytest.raises(BadInputError, match=match):
        of(code, attribute)


def test_code_that_would_end_the_process_does_not(code: Code) -> None:
    with pytest.raises(CodeEndsError, match=r"net.py:leaves calls sys.exit\(3\)"):
        of(code, "leaves")


def test_an_error_is_told_with_the_last_frame_of_the_users_code(code: Code) -> None:
    with pytest.raises(RuntimeError) as raised:
        of(code, "build").module(torch.zeros(2, 4))
    line = HELPERS.splitlines().index("    return layer(x)") + 1
    assert own_frame(raised.value) == f"helpers.py:{line} in through"
    unsupported = UnsupportedError("aot: the network cannot be exported")
    unsupported.__cause__ = raised.value
    assert outcome_of(unsupported).status_reason == f"helpers.py:{line} in through: {unsupported}"
    assert told(raised.value).startswith(f"helpers.py:{line} in through: RuntimeError: mat1 and mat2")
    assert own_frame(ValueError("somebody else's")) is None
