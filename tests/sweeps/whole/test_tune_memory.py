"""What Tune keeps of a sweep's trials, in a whole sweep with real Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweeps.cell.message import Message
from tests.sweeps.conftest import ROOT

DRIVER = """
import gc, sys
from pathlib import Path
from sweeps.choosing.chooser import Chooser
from sweeps.launch.ray_session import RayOptions
from sweeps.launch.tune_loop import launch
from sweeps.plan.config import SweepConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.scheduling.ledger import Ledger
from sweeps.session.terminal import Terminal
from sweeps.store.store import ResultStore
from ray.tune.experiment import Trial

kept = []

class Watched(Chooser):
    def recorded(self, cell, row, rounds):
        gc.collect()
        kept.append(sum(isinstance(thing, Trial) for thing in gc.get_objects()))

config = SweepConfig(
    workload="image-processing", device=("cpu",), batch_size=tuple(range(1, 15)), precision=("fp32", "tf32"), model=("none",),
    option_axes={"pipeline": ("resize",), "implementation": ("eager",)},
    measure=MeasureConfig(min_rounds=1, min_s=0.001, max_s=0.001, round_s=0.001, warmup_max_s=0.001),
)
# Two that are measured, and many that end at once: Tune would keep either for ever.
cells = sorted(config.cells(), key=lambda cell: cell.precision)[12:]
store = ResultStore.create(Path(sys.argv[1]), config, cells, [])
with Terminal(len(cells), 0) as terminal:
    launch(config, Ledger(config, cells, store, Watched(cells), terminal), RayOptions(), {"cpu": 1})
statuses = sorted(row["status"] for row in store.rows())
print("ended", len(statuses), "complete", statuses.count("complete"), "kept", max(kept))
"""


@pytest.mark.slow
def test_ended_trials_are_forgotten_while_the_sweep_runs(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path / "sweep")], capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    words = ended.stdout.splitlines()[-1].split()
    assert words[:4] == ["ended", "16", "complete", "2"]
    assert int(words[5]) <= 5, "the one that runs, the one that comes next, and the last that ended"


def test_a_message_is_short_in_log_lines_whatever_it_holds() -> None:
    samples = [("measure", i, np.arange(1000.0), None) for i in range(100)]
    message = Message(trial_key="abc", row={"options": "x" * 1000}, samples=samples, is_final=True)
    assert repr(message) == "Message(abc, 0 rounds, final)"
