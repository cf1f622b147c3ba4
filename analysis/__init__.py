"""Reports and ad-hoc use of a sweep's Parquet files: ``from analysis import load_sweep, load_samples, load_rounds``.

Each script in this folder is a report of its own; none needs torch or Ray. May import neither ``sweeps`` nor
``workloads``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.read.sweep import AnalysisError, load_rounds, load_samples, load_sweep

__all__ = ["AnalysisError", "load_rounds", "load_samples", "load_sweep"]


def _import_matplotlib(backend: str) -> None:
    """Import matplotlib although its backend may not be here: figures are drawn on a canvas of their own.

    With such a name in ``MPLBACKEND``, as a notebook leaves it to the processes it starts, the import itself fails.
    """
    del os.environ["MPLBACKEND"]
    try:
        import matplotlib as mpl
    finally:
        os.environ["MPLBACKEND"] = backend
    with contextlib.suppress(ValueError):  # whoever shows figures of their own beside ours has chosen it
        mpl.rcParams["backend"] = backend


if os.environ.get("MPLBACKEND") and "matplotlib" not in sys.modules:
    _import_matplotlib(os.environ["MPLBACKEND"])


def __getattr__(name: str) -> Any:
    """Import pandas and pyarrow only when something is read (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from analysis.read import sweep as load

    return getattr(load, name)
