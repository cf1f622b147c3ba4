"""A cell's name for people."""

from __future__ import annotations

from typing import Any

from analysis.contract.cells import OPTION_COLUMNS
from sweeps.plan.grid import LATER_OPTIONS
from sweeps.text import figure

_USUAL = ("eager", "resident", "none", *LATER_OPTIONS.values())
"""Values of options that go without saying."""


def label_of(cell: Any) -> str:
    """A short name of a ``TrialConfig``, such as ``cpu bf16 batch 32 full``."""
    words = [cell.device, cell.precision, f"batch {cell.batch_size}"]
    words += [cell.model] if cell.model != "none" else []
    words += [cell.memory_format] if cell.memory_format != "contiguous" else []
    words += [f"compile {cell.compile}"] if cell.compile != "none" else []
    words += [f"{cell.threads} {'thread' if cell.threads == 1 else 'threads'}"] if cell.threads else []
    words += [f"allocator {cell.allocator}"] if cell.allocator else []
    words += [f"{cell.n_devices} devices"] if cell.n_devices > 1 else []
    told = (cell.options[name] for name in OPTION_COLUMNS if cell.options.get(name) not in (None, *_USUAL))
    words += [figure(value) if isinstance(value, float) else str(value) for value in told]
    words += [f"on {cell.node}"] if cell.node is not None else []
    words += [f"seed {cell.seed}"] if cell.seed else []
    words += [f"repeat {cell.repeat}"] if cell.repeat > 1 else []
    return " ".join(words)
