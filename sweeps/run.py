"""START HERE: ``python sweeps/run.py WORKLOAD [options]`` runs a sweep and writes its report.

The way of the data: command line -> SweepConfig -> TrialConfig (a cell) -> Workload -> rounds of samples ->
row -> Parquet -> frame -> table and figure -> report.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
if sys.path and Path(sys.path[0] or ".").resolve() == _ROOT / "sweeps":
    sys.path[0] = str(_ROOT)  # started as a script: this folder's files are no top-level modules

from sweeps.commands import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
