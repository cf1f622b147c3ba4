"""Every tuple of column names, once; those that the writer of the tables shares are of the contract."""

from __future__ import annotations

from analysis.contract.cells import JUDGING_OPTIONS, SETTINGS, TASK_COLUMNS

SETTING_COLUMNS = ("machine", "run", "node", *SETTINGS)
"""How it is done; what a user can choose. The first two are of ``identity.with_identity``."""

ALWAYS_TOLD = ("device", "precision", "batch_size")
OPTION = "option "
"""How the columns of options that have none of their own begin, in frames of ``identity.with_identity``."""
CODE = f"{OPTION}code"
"""The hash of a user's own network: an axis only where one of them was measured before and after it was edited."""
JUDGING_COLUMNS = tuple(f"{OPTION}{name}" for name in JUDGING_OPTIONS)

THROUGHPUT = ("throughput_items_per_s", "throughput_low_items_per_s", "throughput_high_items_per_s")

HOW = ("device", "precision", "memory_format", "compile", "implementation", "runtime", "feed", "parallel", "allocator")
"""How a task is done in words; batch size and rates are numbers."""
STRATUM = (*TASK_COLUMNS, *HOW)  # what a line of a figure shares while batch size or rate changes along it
CELL_COLUMNS = (*STRATUM, "batch_size", "rate_per_s", "learning_rate", "threads", "n_devices")
"""What makes a cell the same cell elsewhere, in the order a reader wants them."""

WORK_COLUMNS = (
    "input_shape", "weights", "item", "items_per_step", "input_source", "input_is_synthetic",
    "n_train_items", "n_heldout_items",
)  # fmt: skip
"""What the work consists of; a pair that differs in one of them is not the same work."""
