"""What Tune keeps of a sweep's trials, in a whole sweep with real Ray."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweeps.cell.message import Message
from sweeps.choosing.chooser import Chooser
from sweeps.plan.config import SweepConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.scheduling.ledger import Ledger
from sweeps.session.terminal import Terminal
from sweeps.store.store import ResultStore


class Watched(Chooser):
    """Counts Tune's trials in memory each time a row is recorded."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.kept: list[int] = []

    def recorded(self, cell: Any, row: Any, rounds: Any) -> None:
        from ray.tune.experiment import Trial

        gc.collect()
        self.kept.append(sum(isinstance(thing, Trial) for thing in gc.get_objects()))


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_ended_trials_are_forgotten_while_the_sweep_runs(shared_ray: Path, tmp_path: Path) -> None:
    from sweeps.launch.ray_start import RayOptions, ray_here
    from sweeps.launch.tune_loop import launch

    config = SweepConfig(
        workload="image-processing", device=("cpu",), batch_size=tuple(range(1, 15)), precision=("fp32", "tf32"),
        model=("none",), option_axes={"pipeline": ("resize",), "implementation": ("eager",)},
        measure=MeasureConfig(min_rounds=1, min_s=0.001, max_s=0.001, round_s=0.001, warmup_max_s=0.001, n_compared=2),
    )  # fmt: skip
    # Two that are measured, and many that end at once: Tune would keep either for ever.
    cells = sorted(config.cells(), key=lambda cell: cell.precision)[12:]
    chooser, store = Watched(cells), ResultStore.create(tmp_path / "sweep", config, cells, [])
    gc.freeze()  # what is there before is neither counted nor looked through
    try:
        with Terminal(len(cells), 0) as terminal, ray_here(RayOptions()) as here:
            launch(config, Ledger(config, cells, store, chooser, terminal), RayOptions(), here, {"cpu": 1})
    finally:
        gc.unfreeze()
    statuses = [row["status"] for row in store.rows()]
    assert (len(statuses), statuses.count("complete")) == (16, 2)
    assert 1 <= max(chooser.kept) <= 5, "the one that runs, the one that comes next, and the last that ended"


def test_a_message_is_short_in_log_lines_whatever_it_holds() -> None:
    samples = [("measure", i, np.arange(1000.0), None) for i in range(100)]
    message = Message(trial_key="abc", row={"options": "x" * 1000}, samples=samples, is_final=True)
    assert repr(message) == "Message(abc, 0 rounds, final)"
