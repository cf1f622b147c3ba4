"""The choice of the best cell, by hand, and that the terminal and report.md make the same."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.contract.choice import best, front, is_usable, pareto
from analysis.contract.limits import Limits
from analysis.recommendation.page import write_report
from sweeps.plan.config import TrialConfig
from sweeps.session.summary import MAX_TASKS, best_lines
from tests.analysis.conftest import Write, row


def full(index: int, **values: Any) -> dict[str, Any]:
    """A row with every column that the terminal names a cell by."""
    options = {name: values[name] for name in ("pipeline", "scenario") if name in values}
    return {"accuracy_best": None, "seed": 0, "node": None, **row(index, **values), "options": json.dumps(options)}


def server(index: int, rate: float, **values: Any) -> dict[str, Any]:
    made = full(index, scenario="server", batch_size=2**index, rate_per_s=rate, completed_rate_per_s=rate,
                deadline_s=0.05, latency_p99_s=0.02)  # fmt: skip
    return {**made, "throughput_items_per_s": rate, "step_median_s": None, **values}


def test_the_best_may_be_chosen_and_holds_the_limits() -> None:
    rows = [row(0), row(1, batch_size=16), row(2, batch_size=32, status="pruned"), row(3, throughput_items_per_s=math.nan),
            row(4, batch_size=16)]  # fmt: skip
    assert best(rows) is rows[1], "the first of two alike"
    assert best(rows, "latency") is rows[0]
    assert best(rows, "throughput", Limits(max_latency_ms=99.0)) is None
    assert best(rows, "accuracy") is None
    assert best([]) is None


@pytest.mark.parametrize("over", [{"completed_rate_per_s": 80.0}, {"latency_p99_s": 0.06}, {"n_dropped": 1}])
def test_a_server_that_cannot_keep_up_may_not_be_chosen(over: dict[str, float]) -> None:
    assert is_usable(server(0, 100.0))
    assert not is_usable(server(0, 100.0, **over))


def test_the_front_is_what_no_other_point_beats() -> None:
    drawn = random.Random(0)
    for n_axes in (1, 2, 3):
        points = [tuple(float(drawn.randrange(6)) for _ in range(n_axes)) for _ in range(60)]
        beaten = [any(o != p and all(a >= b for a, b in zip(o, p, strict=True)) for o in points) for p in points]
        assert pareto(points) == [not one for one in beaten]


@given(st.lists(st.tuples(*[st.integers(0, 3).map(float)] * 2), max_size=12))
def test_of_equal_points_all_are_kept(points: list[tuple[float, ...]]) -> None:
    on_front = [point for point, is_on in zip(points, pareto(points), strict=True) if is_on]
    assert sorted(on_front) == sorted(p for p in points if p in set(on_front))
    assert bool(on_front) == bool(points)


def test_a_front_heeds_limits_and_unknown_figures() -> None:
    rows = [row(0), row(1, batch_size=16, step_median_s=0.15), row(2, step_median_s=0.2), row(3, status="pruned"),
            {**row(4, throughput_items_per_s=1e9), "step_median_s": None}]  # fmt: skip
    assert front(rows, ["throughput", "latency"], Limits()) == [True, True, False, False, False]
    assert front(rows, ["throughput", "latency"], Limits(max_latency_ms=120.0)) == [True, False, False, False, False]


CASES: dict[str, tuple[list[dict[str, Any]], Limits, int]] = {
    "a limit leaves the fastest out": (
        [full(0), full(1, batch_size=16, step_median_s=0.15)], Limits(max_latency_ms=120.0), 0
    ),
    "reserved memory, not that in tensors": (
        [full(i, batch_size=8 * 2**i, device_peak_allocated_bytes=10**9, device_peak_reserved_bytes=(1 + i) * 10**9)
         for i in range(2)], Limits(max_memory_gb=1.5), 0,
    ),
    "a server that falls behind": ([server(0, 50.0), server(1, 90.0, completed_rate_per_s=60.0)], Limits(), 0),
    "a server that misses its deadline": ([server(0, 50.0), server(1, 90.0, latency_p99_s=0.4)], Limits(), 0),
    "the timer failed its proof": ([full(0, batch_size=4), full(1, timing_verified=False)], Limits(), 1),
}  # fmt: skip


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(("rows", "limits", "chosen"), CASES.values(), ids=CASES)
def test_terminal_and_report_choose_the_same(
    write_sweep: Write, rows: Sequence[dict[str, Any]], limits: Limits, chosen: int
) -> None:
    (line,) = best_lines(rows, limits)
    kept = [{k: v for k, v in r.items() if v is not None} for r in rows]
    report = write_report(write_sweep(kept), **limits.asked).read_text()
    size = f"batch {rows[chosen]['batch_size']}"
    assert f" on {TrialConfig.from_row(rows[chosen]).label}:" in line
    assert size in line
    assert re.findall(r"\*\*([^*]+)\*\*", report)[0].endswith(size)
    assert ("did not pass its proof" in line) == ("did not pass its proof" in report.splitlines()[2])


def test_different_pipelines_have_a_line_each() -> None:
    rows = [full(i, pipeline=name, batch_size=8 * (i + 1)) for i, name in enumerate(("resize", "resize", "blur"))]
    assert [line.partition(": ")[0] for line in best_lines(rows, Limits())] == ["resize", "blur"]
    assert best_lines(rows, Limits())[0].startswith("resize: fastest on cpu fp32 batch 16 m resize")
    many = [full(i, pipeline=f"p{i}") for i in range(MAX_TASKS + 3)]
    assert best_lines(many, Limits())[MAX_TASKS:] == ["3 more tasks are in the report"]


def test_each_device_of_one_task_has_its_best_and_its_most_accurate() -> None:
    rows = [full(0, accuracy_best=0.9), full(1, batch_size=16, accuracy_best=0.5), full(2, device="gpu")]
    assert [line.partition(":")[0] for line in best_lines(rows, Limits())] == [
        "fastest on cpu fp32 batch 16 m", "most accurate on cpu fp32 batch 8 m", "measured on gpu fp32 batch 8 m",
    ]  # fmt: skip


def test_where_nothing_may_be_chosen_the_reason_is_told() -> None:
    assert best_lines([full(0)], Limits(max_latency_ms=1.0)) == ["no cell is known to meet the limits"]
    assert best_lines([server(0, 9.0, n_dropped=1)], Limits()) == [
        "no cell keeps up with its requests within its deadline"
    ]
    assert best_lines([full(0, status="oom")], Limits()) == []
