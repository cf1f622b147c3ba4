"""What is asked of PyTorch before a cell is set up."""

from __future__ import annotations

import torch

from sweeps.cell.context import lacking
from sweeps.plan.config import TrialConfig


def test_what_pytorch_lacks_only_its_own_cells_lack() -> None:
    told = {
        runtime: lacking(torch.device("cpu"), TrialConfig(
            workload="inference", device="cpu", batch_size=1, precision="int8", options={"runtime": runtime},
        ))
        for runtime in (None, "torch", "openvino")
    }  # fmt: skip
    assert told["openvino"] is None
    assert told[None] == told["torch"]
    assert "--runtime" in str(told["torch"])
