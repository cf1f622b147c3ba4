"""What is asked of PyTorch before a cell is set up."""

from __future__ import annotations

import pytest
import torch

from sweeps.cell.context import lacking
from sweeps.plan.config import TrialConfig


def test_what_pytorch_lacks_only_its_own_cells_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.cell.context.unsupported_reason", lambda _, precision: f"no {precision}")
    told = {
        runtime: lacking(torch.device("cpu"), TrialConfig(
            workload="inference", device="cpu", batch_size=1, precision="int8", options={"runtime": runtime},
        ))
        for runtime in (None, "torch", "openvino")
    }  # fmt: skip
    assert told == {None: "no int8", "torch": "no int8", "openvino": None}
