"""Every tuple of column names, once."""

from __future__ import annotations

STATUSES = ("complete", "pruned", "unsupported", "oom", "timeout", "crashed", "error")

TASK_COLUMNS = ("workload", "scenario", "model", "pipeline", "tune", "augment")
"""What is done; speeds of different tasks are not compared."""

SETTING_COLUMNS = ("machine", "run", "node", "device", "precision", "batch_size", "memory_format", "compile",
                   "implementation", "feed", "learning_rate", "rate_per_s")  # fmt: skip
"""How it is done; what a user can choose. The first two are of ``strata.with_identity``."""

ALWAYS_TOLD = ("device", "precision", "batch_size")

JUDGING_OPTIONS = ("option max_latency_ms", "option max_memory_gb")
"""Options that judge a cell and do not change what it does."""


SERVER = "server"
"""Scenario whose throughput is the rate at which requests arrive, not what the device can do."""

MEASURED = ("complete", "pruned")


THROUGHPUT = ("throughput_items_per_s", "throughput_low_items_per_s", "throughput_high_items_per_s")


CELL_COLUMNS = (
    "workload", "scenario", "model", "pipeline", "tune", "augment", "device", "precision", "memory_format", "compile",
    "implementation", "feed",
    "batch_size", "rate_per_s", "learning_rate",
)  # fmt: skip
"""What makes a cell the same cell elsewhere, in the order a reader wants them."""

WORK_COLUMNS = (
    "input_shape", "weights", "item", "items_per_step", "input_source", "input_is_synthetic",
    "n_train_items", "n_heldout_items",
)  # fmt: skip
"""What the work consists of; a pair that differs in one of them is not the same work."""


STRATUM = ("workload", "scenario", "model", "pipeline", "tune", "augment", "device", "precision",
           "memory_format", "compile", "implementation", "feed")  # fmt: skip
"""What a line of a figure shares while batch size or rate changes along it."""
