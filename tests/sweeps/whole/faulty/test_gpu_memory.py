"""The accelerator's memory runs out, for real: a row, and the cells after it find the device as a fresh process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sweeps.conftest import ROOT
from tests.sweeps.whole.faulty.faults import Faulted, install_faulty

CELLS = """
import json, sys
from sweeps.cell.cell_run import CellRun
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig

measure, rows, facts = MeasureConfig(min_rounds=5, min_s=0.5, max_s=2.0), {}, {}
for fault in sys.argv[2:]:
    cell = TrialConfig(workload="faulty", device=sys.argv[1], batch_size=1, options={"fault": fault, "cell": 0})
    run = CellRun(cell, measure, n_threads=1, device_facts=facts)
    while not run.is_finished:
        run.advance()
    message = run.take_message()
    facts = facts or message.device_facts
    names = ("status", "error_type", "device_peak_allocated_bytes", "device_peak_reserved_bytes", "step_median_s")
    rows[fault] = {name: message.row.get(name) for name in names}
print(json.dumps(rows))
"""
SAME_SPEED = 0.15
"""Two processes on an otherwise idle accelerator differ by a few per cent."""


def accelerator() -> str:
    import torch

    found = torch.accelerator.current_accelerator()
    assert found is not None
    return str(found.type)


def in_one_process(site: Path, *faults: str) -> dict[str, dict[str, Any]]:
    """The rows of cells that run one after another in one fresh process."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, "-c", CELLS, accelerator(), *faults], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    rows: dict[str, dict[str, Any]] = json.loads(ended.stdout.splitlines()[-1])
    return rows


@pytest.mark.gpu
@pytest.mark.slow
def test_the_cell_after_one_that_filled_the_device_finds_it_as_a_fresh_process_does(tmp_path: Path) -> None:
    site = install_faulty(tmp_path / "site")
    after = in_one_process(site, "device-memory", "last")
    fresh = in_one_process(site, "last")
    assert after["device-memory"]["status"] == "oom", after
    assert "OutOfMemory" in after["device-memory"]["error_type"]
    for name in ("status", "device_peak_allocated_bytes"):
        assert after["last"][name] == fresh["last"][name], name
    reserved = "device_peak_reserved_bytes"  # in whole blocks: a library's workspace may lie in another one
    assert after["last"][reserved] == pytest.approx(fresh["last"][reserved], rel=0.1, abs=32e6)
    assert after["last"]["step_median_s"] == pytest.approx(fresh["last"]["step_median_s"], rel=SAME_SPEED)


@pytest.mark.gpu
@pytest.mark.slow
def test_a_sweep_goes_on_after_the_device_was_full(tmp_path: Path) -> None:
    sweep = Faulted(tmp_path, "--device", accelerator(), "--fault", "none", "device-memory", "last")
    assert sweep.run() == 1, sweep.said
    assert not sweep.orphans()
    rows = sweep.rows().set_index("fault")
    assert rows["status"].to_dict() == {"none": "complete", "device-memory": "oom", "last": "complete"}
    assert "3 cells: 2 complete, 1 oom" in sweep.said
    same = rows.loc[["none", "last"]]
    assert same["device_peak_allocated_bytes"].nunique() == 1
    assert rows.loc["last", "worker_pid"] != rows.loc["none", "worker_pid"], "the worker that ran out is replaced"
