"""Sweeps of accelsweep: what is asked, run, measured and kept.

May import ``workloads`` and ``analysis``; each folder here only those that stand below it (``tests/test_imports.py``).
"""

from sweeps.api import sweep

__all__ = ["sweep"]
