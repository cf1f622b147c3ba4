"""Results that fill the page of each subject, with names that must be escaped wherever a page shows them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.coverage.store import DESCRIPTION
from sweeps.store.operation_columns import OPERATIONS
from tests.analysis import states
from tests.analysis.conftest import Write, row

NASTY = "a|b <i>$x$ *y*"


@dataclass(frozen=True, kw_only=True)
class Filled:
    """The tables of a sweep, and the files that its report with ``--html`` is (empty: whatever they are called)."""

    rows: Sequence[dict[str, Any]]
    rounds: Sequence[dict[str, Any]] = ()
    samples: Sequence[dict[str, Any]] = ()
    config: dict[str, Any] | None = None
    files: frozenset[str] = frozenset()

    def write(self, write_sweep: Write) -> Path:
        folder = write_sweep(self.rows, rounds=self.rounds, samples=self.samples)
        if self.config is not None:
            path = folder / "sweep.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "config": self.config}))
        return folder


def files(*figures: str) -> frozenset[str]:
    return frozenset({"page.md", "page.html", *figures})


def rounds_of(index: int, **lists: Sequence[float]) -> list[dict[str, Any]]:
    """Rounds of two seconds; each list has one value a round."""
    return [
        {"trial_key": f"k{index:03d}", "round": i, "elapsed_s": 2.0 * (i + 1), "seconds": 2.0, "items": 10}
        | dict(zip(lists, values, strict=True))
        for i, values in enumerate(zip(*lists.values(), strict=True))
    ]


def training(index: int, **values: Any) -> dict[str, Any]:
    plain = {"workload": "finetune", "scenario": None, "tune": "full", "batch_size": 10, "target_accuracy": 0.9,
             "accuracy_best": 0.95, "n_heldout_items": 1000, "n_train_items": 100, "epochs_run": 0.4, "measured_s": 8.0,
             "time_to_target_s": 6.0, "model": NASTY}  # fmt: skip
    return row(index, **{**plain, **values})


def trainings() -> Filled:
    rows = [
        training(0),
        training(1, device="gpu"),
        training(2, device="gpu", time_to_target_s=8.0, memory_format=NASTY),
    ]
    curves = [r for i, last in enumerate((0.97, 0.91, 0.95))
              for r in rounds_of(i, accuracy=[0.2, 0.5, 0.93 - 0.1 * (i == 2), last], energy_j=[30.0] * 4)]  # fmt: skip
    return Filled(rows=rows, rounds=curves, files=files("finetune.png"))


def precisions() -> Filled:
    exact = {"max_abs_diff": 1e-5, "max_softmax_diff": 1e-6, "top1_agreement_ratio": 1.0, "reference": "cpu fp64"}
    rough = {"max_abs_diff": 0.2, "max_softmax_diff": 0.03, "top1_agreement_ratio": 0.75, "reference": "cpu fp64"}
    rows = [
        row(4 * i + 2 * j + k, precision=precision, memory_format=memory_format, batch_size=8**(k + 1), step_median_s=0.1 / (1 + i),
            device_peak_allocated_bytes=800 * 8**k // (1 + i), energy_per_item_j=4.0 / (1 + i), **agreement)
        for i, (precision, agreement) in enumerate((("fp32", exact), ("bf16", rough)))
        for j, memory_format in enumerate(("contiguous", NASTY)) for k in range(2)
    ]  # fmt: skip
    return Filled(rows=rows, files=files("precision.png", "front-agreement.png"))


def studies() -> Filled:
    """A pruned cell in a study, a search for two objectives, and a search for batch sizes."""
    plain = {"study_name": NASTY, "measured_s": 10.0, "wall_s": 15.0}
    pruned = {"status": "pruned", "pruned_at_round": 1, "pruned_on": "throughput", "pruned_against": "<i>best</i>",
              "step_median_s": 0.25, "measured_s": 2.0, "wall_s": 6.0}  # fmt: skip
    roles = ({}, pruned, {"search_role": "fastest and largest"})
    rows = [row(i, batch_size=2**i, study_trial=i, **{**plain, **role}) for i, role in enumerate(roles)]
    curves = [*rounds_of(0, throughput_items_per_s=[100.0] * 3), *rounds_of(1, throughput_items_per_s=[40.0, 41.0])]
    config = {"search": {"sampler": "tpe", "objectives": ["throughput", "latency"], "n_trials": 3, "limits": {}}}
    named = files("pruning-a-b-i-x-y.png", "search-a-b-i-x-y.png", "batch-sizes.png")
    return Filled(rows=rows, rounds=curves, config=config, files=named)


def rates() -> Filled:
    rows = [
        row(10 * i + j, device=device, memory_format=memory_format, batch_size=4**j, step_median_s=step_s * 4**(j * power))
        for i, (device, memory_format, step_s, power) in enumerate(
            (("cpu", "contiguous", 0.01, 1.0), ("gpu", "contiguous", 0.02, 0.2), ("gpu", NASTY, 0.02, 0.3)))
        for j in range(3)
    ]  # fmt: skip
    return Filled(rows=rows, files=files("scaling.png"))


def costs() -> Filled:
    return Filled(rows=[r | {"energy_source": NASTY} if r.get("energy_source") else r for r in states.full()])


def samples_of(index: int, seconds: Sequence[float], *, n_rounds: int = 5) -> list[dict[str, Any]]:
    """Measured samples of a cell in rounds of equal length."""
    size = max(1, len(seconds) // n_rounds)
    return [
        {"trial_key": f"k{index:03d}", "phase": "measure", "round": i // size, "index": i % size, "seconds": value}
        for i, value in enumerate(seconds)
    ]


def sampled() -> Filled:
    """A cell measured twice, with samples that swing slowly, and one without."""
    rows = [row(i, repeat=i + 1, model=NASTY, step_median_s=0.1, wall_s=3.0, drift_ratio=0.01) for i in range(2)]
    samples = [s for i in range(2) for s in samples_of(i, [0.1 + 0.01 * math.sin(n / 9 + i) for n in range(200)])]
    return Filled(
        rows=[*rows, row(2, batch_size=1, model=NASTY)], samples=samples, files=files("samples-cpu-fp32-batch-8.png")
    )


FILLED = {
    "distributions": sampled,
    "energy": costs, "finetune": trainings, "latency": lambda: Filled(rows=states.full()),
    "memory": lambda: Filled(rows=states.full()), "precision": precisions, "pruning": studies,
    "roofline": lambda: Filled(rows=states.full()), "scaling": rates,
}  # fmt: skip
"""By subject, of all that read the rows of a sweep: all but coverage, which has a table of its own."""


def operation(name: str = "relu", **values: Any) -> dict[str, Any]:
    """A row of the operations table."""
    plain = {
        "schema_version": 1, "sweep_id": "s", "operation": name, "source": "database", "family": "elementwise",
        "device": "gpu", "dtype": "fp32", "direction": "forward", "verdict": "supported", "n_samples": 4,
        "n_wrong": 0, "n_compared": 4, "torch_version": "2.15", "device_name": "A GPU",
        **values,
    }  # fmt: skip
    return {"operation_key": f"{name}-{plain['device']}-{plain['dtype']}", **plain}


def write_operations(folder: Path, rows: Sequence[dict[str, Any]], **description: Any) -> Path:
    """A coverage sweep's folder, as a sweep that ended leaves it."""
    (folder / "operations").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=OPERATIONS), folder / "operations" / "all-000001.parquet")
    told = {"schema_version": 1, "created_at": folder.name, "n_cells": len({r["operation_key"] for r in rows}),
            "command": ["accelsweep", "op-coverage"], **description}  # fmt: skip
    (folder / DESCRIPTION).write_text(json.dumps(told))
    return folder
