"""Writes the sweeps of a comparison's sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.analysis.comparison.made import Cell, Repeated, Sweep, slower
from tests.analysis.conftest import Write


@pytest.fixture
def sweep(write_sweep: Write) -> Sweep:
    """``sweep(name, cells)`` writes a sweep of cells that are as fast as they say, but for a noise of the name's own."""

    def write(name: str, cells: Sequence[Cell], **more: Any) -> Path:
        rng = np.random.default_rng(sum(map(ord, name)))
        noise = np.exp(rng.normal(0, 0.003, len(cells)))
        made = [c | {"sweep_id": name} | slower(c, factor) for c, factor in zip(cells, noise, strict=True)]
        return write_sweep(made, name, **more)

    return write


@pytest.fixture
def repeated(sweep: Sweep) -> Repeated:
    """``repeated(name, cells)`` writes three sweeps of the same cells, and is how the command line names the side."""

    def write(name: str, cells: Sequence[Cell], n: int = 3) -> str:
        return f"{name}={','.join(str(sweep(f'{name}-{i}', cells)) for i in range(n))}"

    return write
