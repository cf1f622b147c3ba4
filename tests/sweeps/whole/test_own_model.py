"""A user's own network in whole sweeps: several inputs and outputs, errors in its file, its name everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis.read.sweep import load_sweep
from sweeps.commands import main
from tests.sweeps.session.without_ray import put_loop

NET = """
import torch
from dataclasses import dataclass
from torch import nn
import helpers

@dataclass
class Output:
    logits: torch.Tensor
    pooled: tuple

class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.first, self.second = nn.Linear(16, 5), nn.Linear(16, helpers.WIDTH)

    def forward(self, ids, mask):
        x = (self.embed(ids) * mask[..., None]).mean(1)
        return Output(logits=self.first(x), pooled=(self.second(x), ids.sum(1)))

class Picky(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, x):
        if len(x) == 5:
            raise ValueError("not five")
        return {"out": self.layer(x), "weight": self.layer.weight}

def picky():
    return Picky(), torch.zeros(1, 8)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net|1.py").write_text(NET)
    (tmp_path / "helpers.py").write_text("WIDTH = 3\n")
    return tmp_path


def rows(folder: Path) -> pd.DataFrame:
    return load_sweep(folder / "results").set_index("batch_size")


def test_inputs_and_outputs_of_any_structure_in_every_precision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    put_loop(monkeypatch)
    asked = ["--input", "ids:int64:1x12<50", "mask:1", "--batch-size", "4", "--precision", "bf16", "fp32"]
    asked += ["--device", "cpu", "--memory-format", "channels_last", "--smoke", "--max-s", "0.1"]
    assert main(["inference", "--model", "net|1.py:Text", *asked]) == 0
    found = load_sweep(folder / "results").sort_values("precision", ascending=False)
    assert found["status"].tolist() == ["complete"] * 2
    assert set(found["model"]) == {"net|1.py:Text"}
    assert set(found["input_shape"]) == {"ids:int64:12<50 mask:1"}
    assert set(found["item"]) == {"items"}
    assert set(found["weights"]) == {"as built"}
    assert found["input_is_synthetic"].all()
    assert set(found["compared_output"]) <= {"logits", "pooled.0"}
    assert (found["n_compared"] == 8).all()
    assert found["rms_rel_diff"].is_monotonic_increasing, "bf16 rounds more"
    assert found["code_hash"].str.fullmatch("[0-9a-f]{16}").all()
    page = next((folder / "results").glob("*/report.md")).read_text()
    assert r"net\|1.py:Text" in page


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_an_error_at_one_batch_size_is_a_row_with_the_last_frame_of_the_users_file_and_resuming_needs_the_same_file(
    shared_ray: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["inference", "--model", "net|1.py:picky", "--no-report"]
    assert (
        main([*common, "--batch-size", "2", "5", "--precision", "fp32", "--device", "cpu", "--smoke", "--max-s", "0.1"])
        == 1
    )
    found = rows(folder)
    assert found["status"].to_dict() == {2: "complete", 5: "error"}
    line = NET.splitlines().index('            raise ValueError("not five")') + 1
    assert found.loc[5, "status_reason"] == f"net|1.py:{line} in forward: ValueError: not five"
    assert f"net|1.py:{line} in forward" in capsys.readouterr().out
    assert found.loc[2, "input_source"] == "numbers like those of the model's example inputs"
    sweep = next((folder / "results").iterdir()).name
    config = json.loads((folder / "results" / sweep / "sweep.json").read_text())["config"]
    assert "forward" not in json.dumps(config), "the code itself is not among results that are shown to others"
    (folder / "helpers.py").write_text("WIDTH = 4\n")
    put_loop(monkeypatch)  # the rest has nothing to do with Ray
    assert main(["inference", "--resume", sweep, "--retry-failed"]) == 2
    assert "'net|1.py:picky' was changed since" in capsys.readouterr().err
    (folder / "helpers.py").write_text("WIDTH = 3\n")
    assert main(["inference", "--resume", sweep, "--retry-failed", "--no-report"]) == 1
    assert len(rows(folder)) == 2
