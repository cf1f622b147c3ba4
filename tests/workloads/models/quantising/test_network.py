"""A quantised network takes its inputs in the type of what is not quantised, whichever that is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import workloads.inference
from tests.workloads.conftest import prepared

NETWORK = """
from torch import nn


def build():
    return nn.Sequential(nn.Linear(27, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 32))
"""


@pytest.mark.parametrize("rest", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("precision", ["int8", "int8-weight"])
def test_what_comes_before_the_quantised_layers_computes_in_the_type_of_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, rest: torch.dtype
) -> None:
    """As on a GPU, where the rest is held in bfloat16."""
    pytest.importorskip("torchao")
    (tmp_path / "net.py").write_text(NETWORK)
    monkeypatch.setattr(workloads.inference, "rest_dtype", lambda _: rest)
    workload = prepared("inference", model=f"{tmp_path}/net.py:build", precision=precision, input=("27",))
    workload.step()
    outputs, reference = workload.outputs_and_reference()  # type: ignore[attr-defined]
    assert outputs.shape == reference.shape == (8, 32)
    assert workload.compute(workload.host_batch()).dtype == rest  # type: ignore[attr-defined]
