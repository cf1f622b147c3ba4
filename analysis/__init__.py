"""Reports of accelsweep, and ad-hoc use of a sweep's Parquet files.

``from analysis import load_sweep, load_samples, load_rounds, load_profiles``.

Each script in this folder is a report of its own; none needs torch or Ray. May import neither ``sweeps`` nor
``workloads``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.read.sweep import AnalysisError, load_profiles, load_rounds, load_samples, load_sweep

__all__ = ["AnalysisError", "load_profiles", "load_rounds", "load_samples", "load_sweep"]


def __getattr__(name: str) -> Any:
    """Import pandas and pyarrow only when something is read (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from analysis.read import sweep

    return getattr(sweep, name)
