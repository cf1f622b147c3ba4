"""What is asked of PyTorch before a cell is set up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from sweeps.cell.context import lacking
from sweeps.plan.config import TrialConfig
from workloads.runtime.late import begin_importing


def test_what_a_precision_needs_is_imported_after_what_is_imported_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_ahead.py").write_text("import time; time.sleep(0.3); is_whole = True")
    monkeypatch.syspath_prepend(tmp_path)

    def judged(*_: object) -> str:
        return f"whole: {hasattr(sys.modules.get('imported_ahead'), 'is_whole')}"

    monkeypatch.setattr("sweeps.cell.context.unsupported_reason", judged)
    begin_importing(["imported_ahead"])
    cell = TrialConfig(workload="inference", device="cpu", batch_size=1, precision="int8")
    assert lacking(torch.device("cpu"), cell) == "whole: True"


def test_what_pytorch_lacks_only_its_own_cells_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.cell.context.unsupported_reason", lambda _, precision: f"no {precision}")
    told = {
        runtime: lacking(torch.device("cpu"), TrialConfig(
            workload="inference", device="cpu", batch_size=1, precision="int8", options={"runtime": runtime},
        ))
        for runtime in (None, "torch", "openvino")
    }  # fmt: skip
    assert told == {None: "no int8", "torch": "no int8", "openvino": None}
