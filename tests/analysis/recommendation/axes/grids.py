"""Frames as the report has them, from hand-made rows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.cells.identity import with_identity
from analysis.cells.pooling import with_runs_pooled
from analysis.read.sweeps import load_sweeps
from tests.analysis.conftest import Write


def loaded(write_sweep: Write, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return with_identity(with_runs_pooled(load_sweeps([write_sweep(rows)], ["rate_per_s"])))
