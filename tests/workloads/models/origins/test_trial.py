"""A network is tried in a process of its own before a sweep begins; what is wrong with it is one line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from workloads.base import BadInputError
from workloads.models.origins import trial
from workloads.models.origins.trial import Question, tried, try_out

NET = """
import os, torch
from torch import nn

class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 7)

    def forward(self, x):
        print("forward", x.shape)
        return self.head(self.conv(x).mean((2, 3)))

def fails():
    raise KeyError("weights are gone")

def ends():
    os.kill(os.getpid(), 11)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)


def refusal(question: Question) -> str:
    """What the process says that runs the code; here it is this one."""
    told = str(tried(question)["refusal"])
    assert "\n" not in told
    return told


def test_a_network_that_answers_is_fine_and_a_shape_that_it_does_not_take_is_told_where(tmp_path: Path) -> None:
    assert tried(Question(name="net.py:Grey", asked=("1x28x28",))) == {"warning": None}
    told = refusal(Question(name="net.py:Grey"))
    assert told.startswith("--model: 'net.py:Grey' does not work: net.py:13 in forward: RuntimeError: Given groups=1")
    assert told.endswith("--input says what it takes of one item, such as 1x28x28")
    told = refusal(Question(name="net.py:Grey", asked=("1x1x28x28",)))
    assert told.endswith("the shape of one item, without the batch, and works with --input 1x28x28")


def test_a_file_that_imports_from_where_the_user_is_is_told_its_modules_name(tmp_path: Path) -> None:
    for folder in ("models", "common"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / "net.py").write_text("from common.sizes import WIDTH\nfrom torch import nn\n"
                                                "def build(): return nn.Linear(3, WIDTH)\n")  # fmt: skip
    (tmp_path / "common" / "sizes.py").write_text("WIDTH = 2\n")
    told = refusal(Question(name="models/net.py:build", asked=("3",)))
    assert told.startswith("--model: 'models/net.py:build' does not work: net.py:1 in <module>: ModuleNotFoundError")
    assert told.endswith("; --model models.net:build finds what lies in this folder")
    assert tried(Question(name="models.net:build", asked=("3",))) == {"warning": None}


def test_code_that_fails_or_ends_its_process_is_told() -> None:
    assert refusal(Question(name="net.py:fails")).startswith(
        "--model: 'net.py:fails' does not work: net.py:16 in fails: KeyError: 'weights are gone'"
    )
    with pytest.raises(BadInputError, match=r"^--model: 'net.py:ends' ends its process \(SIGSEGV"):
        try_out(Question(name="net.py:ends"))


def test_what_works_is_tried_once_and_what_was_refused_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = iter(['{"refusal": "no"}', '{"warning": "slow"}', '{"warning": "new weights"}'])
    ended = lambda *_, **__: SimpleNamespace(returncode=0, stdout=next(answers), stderr="")  # noqa: E731
    monkeypatch.setattr(trial.subprocess, "run", ended)
    asked = Question(name="resnet18", weights=str(tmp_path / "w.pt"))
    with pytest.raises(BadInputError, match="no"):
        try_out(asked)
    assert [try_out(asked), try_out(asked)] == ["slow", "slow"]
    (tmp_path / "w.pt").write_bytes(b"trained")
    assert try_out(asked) == "new weights"


def test_weights_are_put_in_and_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.conv.weight": torch.zeros(4, 1, 3, 3)}}, tmp_path / "w.pt")
    told = refusal(Question(name="net.py:Grey", asked=("1x28x28",), weights="w.pt"))
    assert "'w.pt' is of another architecture: 1 of the 4 tensors of net.py:Grey are in it; it lacks conv.bias" in told
    told = refusal(Question(name="net.py:Grey", image_size=48, n_classes=10))
    assert "'net.py:Grey' cannot be trained on images: net.py:13 in forward: RuntimeError: Given groups=1" in told
