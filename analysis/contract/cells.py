"""How a cell can end, and what its options and columns mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
"""A row of the trials table."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What follows from a way to end."""

    is_measured: bool = False  # the cell has figures
    is_failure: bool = False  # it makes the sweep's exit code 1
    is_retried: bool = False  # --retry-failed measures it again
    bounds_batch: bool = False
    """A search for the largest batch size takes it for the size that does not fit any more; what such a search is after
    is no failure of its sweep."""
    told: str = ""  # the status in words


STATUSES = {
    "complete": Status(is_measured=True),
    "pruned": Status(is_measured=True),
    "unsupported": Status(told="unsupported"),
    "oom": Status(is_failure=True, bounds_batch=True, told="out of memory"),
    "timeout": Status(is_failure=True, is_retried=True),
    "crashed": Status(is_failure=True, is_retried=True),
    "error": Status(is_failure=True, is_retried=True),
}
"""Every cell ends as exactly one of these; pages count them in this order."""
MEASURED = tuple(name for name, status in STATUSES.items() if status.is_measured)
FAILED = tuple(name for name, status in STATUSES.items() if status.is_failure)
RETRIED = tuple(name for name, status in STATUSES.items() if status.is_retried)
BOUNDS_BATCH = tuple(name for name, status in STATUSES.items() if status.bounds_batch)

SERVER = "server"  # scenario whose throughput is the rate at which requests arrive, not what the device can do

OPTION_COLUMNS = {
    "pipeline": "pipeline", "implementation": "implementation", "runtime": "runtime", "tune": "tune",
    "augment": "augment", "feed": "feed", "parallel": "parallel", "learning_rate": "learning_rate",
    "scenario": "scenario", "rate": "rate_per_s",
}  # fmt: skip
"""Options of workloads that have a column of their own, in the order in which they name a cell."""
TASK_OPTIONS = ("pipeline", "tune", "augment", "scenario", "rate")
"""Options that say what the work is; cells that differ in them are never compared to choose or prune."""
JUDGING_OPTIONS = ("max_latency_ms", "max_memory_gb")
"""Options that judge a cell and do not change what it does, save that a server's rate is searched by its limit."""

TASK_COLUMNS = ("workload", "scenario", "model", "pipeline", "tune", "augment")
"""What is done; speeds of different tasks are not compared. The rate of requests is what a server is chosen for."""
SETTINGS = ("device", "precision", "batch_size", "memory_format", "compile", "implementation", "runtime", "feed",
            "parallel", "learning_rate", "rate_per_s", "threads", "allocator", "n_devices")  # fmt: skip
"""How it is done; what a user can choose."""

MEASURE, SINGLE = "measure", "single"
"""Phases of samples: the rounds; and, where a sample of those is the mean of several steps, steps timed one by one."""
MIN_SAMPLES = {"p50": 11, "p90": 64, "p95": 130, "p99": 662, "p999": 6636}
"""Samples from which a percentile may be reported: MLPerf LoadGen's early-stopping rule with confidence 0.99 and one
allowed sample over the latency (its results.cc; 64 and 662 are its published minimums, the others the same rule)."""
LEAK_BYTES_PER_STEP = 64 * 2**10
"""Growth that is called a leak where its whole interval lies over it, and none where it lies under it: allocators and
caches move by more than what is less."""

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def known(value: Any) -> float | None:
    """A number as float; None where it is null, NaN or infinite."""
    try:
        number = float(value)
    except (TypeError, ValueError):  # None, and what pandas has in its place
        return None
    return number if math.isfinite(number) else None
