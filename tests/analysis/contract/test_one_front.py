"""One Pareto front for one search, wherever it is told."""

from __future__ import annotations

import json

from analysis.cells.identity import with_identity
from analysis.contract.choice import front
from analysis.contract.limits import Limits
from analysis.read.sweeps import load_sweeps
from analysis.recommendation.tables import front_table
from analysis.subjects.pruning.quantities import COLUMNS
from analysis.subjects.pruning.searches import searches
from tests.analysis.conftest import Write, row

GB = 10**9


def test_report_and_pruning_page_have_the_front_that_the_sweep_told(write_sweep: Write) -> None:
    """Fewer bytes in tensors than another cell, but more reserved; a short p99, but a long median step; over a limit."""
    rows = [
        row(0, batch_size=1, step_median_s=0.1, latency_p99_s=0.5, device_peak_allocated_bytes=3 * GB,
            device_peak_reserved_bytes=3 * GB),
        row(1, batch_size=2, step_median_s=0.3, latency_p99_s=0.4, device_peak_allocated_bytes=2 * GB,
            device_peak_reserved_bytes=4 * GB, throughput_items_per_s=9.0),
        row(2, batch_size=4, step_median_s=0.05, device_peak_allocated_bytes=GB, device_peak_reserved_bytes=9 * GB),
        row(3, batch_size=8, step_median_s=0.4, device_peak_reserved_bytes=5 * GB),
    ]  # fmt: skip
    rows = [{**r, "study_name": "s", "study_trial": i} for i, r in enumerate(rows)]
    objectives, limits = ["throughput", "latency", "memory"], Limits(max_memory_gb=8.0)
    search = {"sampler": "tpe", "n_trials": 4, "objectives": objectives}
    config = {"search": search, "limits": {"max_memory_gb": 8.0}}
    folder = write_sweep(rows)
    (folder / "sweep.json").write_text(
        json.dumps({**json.loads((folder / "sweep.json").read_text()), "config": config})
    )
    expected = front(rows, objectives, limits)
    assert expected == [True, False, False, True]
    frame = with_identity(load_sweeps([folder], COLUMNS))
    (found,) = searches(frame, {"s": {"config": config}})
    assert found.front.tolist() == expected
    table = front_table(frame, objectives, limits)
    assert [line.split(" | ")[2] for line in table.splitlines()[2:]] == ["1", "8"]
    assert "peak memory reserved (GiB)" in table
