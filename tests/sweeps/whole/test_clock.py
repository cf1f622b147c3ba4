"""A clock that is set back while a cell is measured: durations come from the monotonic clock, names do not collide."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweeps.conftest import ROOT
from tests.sweeps.installed import install
from tests.sweeps.session.without_ray import FACTS, TINY

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <sys/time.h>
static int (*real)(clockid_t, struct timespec *);
static long n_calls;
/* The wall clock goes back by a minute each time somebody looks at it; the monotonic clock is left alone. */
int clock_gettime(clockid_t id, struct timespec *t) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, t);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec -= 60 * ++n_calls;
    return failed;
}
time_t time(time_t *out) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
"""
CELL = """
import gc, json, sys, time
gc.disable()  # it would look through all that is imported
from pathlib import Path
from sweeps.cell.cell_run import CellRun
from sweeps.choosing.chooser import Chooser
from sweeps.plan.config import SweepConfig
from sweeps.plan.measuring import MeasureConfig
from sweeps.scheduling.ledger import Ledger
from sweeps.session.terminal import Terminal
from sweeps.store.store import ResultStore, claim_folder

assert time.time() > time.time() > time.time(), "the clock is not set back"
config = SweepConfig(
    workload="tiny", device=("cpu",), batch_size=(1, 2), precision=("fp32",), model=("none",),
    option_axes={"does": ("fine",)}, trial_timeout_s=1e6, budget_s=1e6,
    measure=MeasureConfig(min_rounds=2, min_s=0.1, max_s=0.3, round_s=0.05, n_compared=2),
)
results, cells = Path(sys.argv[1]), config.cells()
folders = [claim_folder("tiny", results) for _ in range(3)]
store = ResultStore.create(folders[0], config, cells, [])
with Terminal(len(cells)) as terminal:
    ledger = Ledger(config, cells, store, Chooser(cells), terminal)
    for number in range(len(cells)):
        cell = ledger.hand_out(str(number))
        ledger.start(str(number))
        run = CellRun(cell, config.measure, n_threads=1, device_facts=json.loads(sys.argv[2]))
        while not run.is_finished:
            run.advance()
            assert ledger.overdue() == []
        ledger.receive(str(number), run.take_message())
    crashed = SweepConfig(**{**vars(config), "batch_size": (4,)}).cells()
    ledger = Ledger(config, crashed, store, Chooser(crashed), terminal)
    ledger.hand_out("x")
    ledger.start("x")
    ledger.close("x", error="killed")
store.compact()
rows = ResultStore.open(folders[0])[0].rows()
rounds = [entry for entries in store.rounds(row["trial_key"] for row in rows).values() for entry in entries]
print(json.dumps({
    "folders": [folder.name for folder in folders], "statuses": [row["status"] for row in rows],
    "durations": [v for entry in [*rows, *rounds] for name, v in entry.items()
                  if v is not None and (name.endswith("_s") or name == "seconds") and not name.endswith("_per_s")],
    "walls": [row["wall_s"] for row in rows],
}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or shutil.which("gcc") is None, reason="needs gcc on Linux")
def test_a_clock_set_back_makes_no_duration_negative_and_no_name_twice(tmp_path: Path) -> None:
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], cwd=tmp_path, check=True)
    path = os.pathsep.join([str(install(tmp_path / "site", "tiny:Tiny", TINY.read_text())), str(ROOT)])
    ended = subprocess.run(
        ["env", f"LD_PRELOAD={tmp_path / 'shim.so'}", sys.executable, "-c", CELL, str(tmp_path / "results"), json.dumps(FACTS)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert sorted(found["statuses"]) == ["complete", "complete", "crashed"]
    assert len(set(found["folders"])) == 3
    assert len(found["durations"]) > 30
    assert min(found["durations"]) >= 0
    assert max(found["walls"]) < 60, "no wall clock went into a duration"
