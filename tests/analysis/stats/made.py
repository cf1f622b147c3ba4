"""Runs of made cells, whose spread from run to run is known."""

from __future__ import annotations

import numpy as np

from analysis.stats.between_runs import Runs

N_CELLS = 12


def made(rng: np.random.Generator, n_runs: int, spread: float, together: float = 0.0) -> list[Runs]:
    """Runs of cells a factor apart, that differ from run to run each for itself and all together."""
    levels = np.linspace(-6, 0, N_CELLS)[:, None]
    own, all_cells = rng.standard_normal((N_CELLS, n_runs)), rng.standard_normal(n_runs)
    return [list(runs) for runs in np.exp(levels + spread * own + together * all_cells)]
