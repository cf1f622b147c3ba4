"""One rule for limits, for the sweep that searches and the pages that report."""

from __future__ import annotations

import dataclasses
import math

import pytest

from analysis.contract.limits import Limits
from sweeps.plan.search_options import SearchOptions, limits
from workloads.base import BadInputError


def test_limits_measure_by_how_much_they_are_broken() -> None:
    asked = Limits(max_latency_ms=10.0, max_memory_gb=1.0, min_accuracy=0.9)
    row = {"step_median_s": 0.012, "peak_rss_bytes": int(0.5e9), "accuracy_best": None}
    assert asked.violations(row) == {"latency_ms": pytest.approx(2.0), "memory_gb": -0.5, "accuracy": math.inf}
    assert asked.held(row) is False
    assert asked.held({**row, "latency_p99_s": 0.009, "accuracy_best": 0.95}) is True
    assert Limits().held(row) is None


def test_reserved_memory_decides_where_it_is_known() -> None:
    asked, row = Limits(max_memory_gb=2.5), {"device_peak_allocated_bytes": 2e9, "peak_rss_bytes": 9e9}
    assert asked.held(row) is True
    assert asked.held({**row, "device_peak_reserved_bytes": 3e9}) is False


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Limits)])
@pytest.mark.parametrize("unknown", [None, math.nan])
def test_an_unknown_figure_is_never_silently_held(name: str, unknown: float | None) -> None:
    columns = ("latency_p99_s", "step_median_s", "device_peak_reserved_bytes", "device_peak_allocated_bytes",
               "peak_rss_bytes", "energy_per_item_j", "accuracy_best")  # fmt: skip
    asked, row = Limits(**{name: 0.5}), dict.fromkeys(columns, unknown)
    assert asked.held(row) is False
    assert asked.nearest([row]) is None


def test_the_nearest_misses_its_worst_limit_by_the_smallest_ratio() -> None:
    asked = Limits(max_latency_ms=10.0, min_accuracy=0.8)
    rows = [{"step_median_s": 0.03, "accuracy_best": 0.9}, {"step_median_s": 0.011, "accuracy_best": 0.4},
            {"step_median_s": 0.001, "accuracy_best": None}, {"step_median_s": 0.001, "accuracy_best": 0.0}]  # fmt: skip
    assert asked.nearest(rows) is rows[1]


def test_no_accuracy_at_all_may_be_asked_for_by_sweep_and_report_alike() -> None:
    asked = Limits(min_accuracy=0.0)
    assert limits(SearchOptions(min_accuracy=0.0), None) == asked
    assert Limits.of({"limits": {"min_accuracy": 0.0}}) == asked
    assert asked.held({"accuracy_best": 0.0}) is True
    assert asked.held({}) is False


@pytest.mark.parametrize(("name", "value"), [("max_latency_ms", 0.0), ("min_accuracy", 1.5), ("max_memory_gb", math.nan),
                                             ("max_energy_j", math.inf), ("min_accuracy", math.nan)])  # fmt: skip
def test_what_makes_no_sense_is_refused_by_its_option(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')}: "):
        Limits(**{name: value})


def test_the_sweep_tells_it_as_bad_input() -> None:
    with pytest.raises(BadInputError, match="--min-accuracy: 2 must lie between 0 and 1"):
        limits(SearchOptions(min_accuracy=2.0), None)


def test_limits_of_an_older_or_newer_sweep_are_read() -> None:
    assert Limits.of({}) == Limits.of({"limits": None}) == Limits()
    assert Limits.of({"limits": {"max_memory_gb": 2.0, "max_noise_db": 30.0}}) == Limits(max_memory_gb=2.0)
