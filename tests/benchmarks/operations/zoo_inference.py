"""Every network of torchvision's in inference, one small cell each: what runs, what is unsupported and why.

    python tests/benchmarks/operations/zoo_inference.py                  all of it, with the inputs they are made for
    python tests/benchmarks/operations/zoo_inference.py raft fcn         those with such a part in their name
    python tests/benchmarks/operations/zoo_inference.py --small vit =fcn_resnet50    smaller images where they are taken;
        after = a whole name

Target: no network ends as an error.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch
import torchvision

from sweeps.cell.cell_run import CellRun
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from workloads.models.sources import DEFAULT_MODEL, model_names

MEASURE = MeasureConfig(min_rounds=1, min_s=0.01, max_s=0.01, n_compared=2)
SMALL = {"detection": ["3x160x160"], "video": ["3x16x64x64"], "optical_flow": ["3x128x128"] * 2}
"""Words of ``--input`` by the package of a network's builder; ``IMAGE`` of all others."""
IMAGE = ["3x96x96"]


def measured(name: str, asked: list[str]) -> dict[str, Any]:
    """The row of one cell."""
    options = {"scenario": "offline"} | ({"input": asked} if asked else {})
    cell = TrialConfig(workload="inference", device="cpu", batch_size=1, model=name, options=options)
    run = CellRun(cell, MEASURE, n_threads=torch.get_num_threads(), device_facts=FACTS)
    while not run.is_finished:
        run.advance()
    return run.take_message().row


def main(words: list[str]) -> int:
    """How many networks ended as an error."""
    parts, is_small = [word for word in words if word != "--small"], "--small" in words
    names = [n for n in model_names() if n != DEFAULT_MODEL and any(p in n or p == f"={n}" for p in parts or [""])]
    n_wrong = 0
    for name in names:
        began = time.monotonic()
        kind = torchvision.models.get_model_builder(name).__module__.split(".")[-2]
        row = measured(name, SMALL.get(kind, IMAGE)) if is_small else {"status": "error"}
        if row["status"] == "error":  # of vision transformers, which take one size
            row = measured(name, [])
        n_wrong += row["status"] == "error"
        told = row.get("status_reason") or row.get("error_message") or row.get("agreement_reason") or ""
        shape, seconds = row.get("input_shape"), time.monotonic() - began
        print(f"{name:44} {row['status']:12} {shape}  {seconds:.1f} s  {told[:160]}", flush=True)
    print(f"{len(names)} networks, {n_wrong} errors (target: 0)")
    return n_wrong


FACTS = {
    "timing_verified": True, "idle_power_w": None, "ceiling_bytes_per_s": None, "ceiling_flop_per_s": {"fp32": None},
    "precision_notes": {"fp32": None},
}  # fmt: skip
"""Of the device; none of them is looked at here."""

if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
