"""One sweep's life: its processes are killed at random moments, signals end it once, and no row is lost or doubled."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import optuna
import pandas as pd
import pytest

from tests.sweeps.session.without_ray import put_loop
from tests.sweeps.whole.driving import kept
from tests.sweeps.whole.faulty.faults import Faulted

N_CELLS = 28
ON_ONE_CPU = ("taskset", "-c", str(min(os.sched_getaffinity(0)))) if shutil.which("taskset") else ()
IGNORING = ("/bin/sh", "-c", "trap '' HUP INT; exec \"$@\"", "sh")
"""As ``nohup`` and a script's ``&`` start a command."""
STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "crashed": "FAIL"}


class Life:
    """A sweep with a study, and the rows that it had when it was last looked at."""

    def __init__(self, folder: Path) -> None:
        self.sweep = Faulted(folder, "--cell", *(str(i) for i in range(N_CELLS)), "--pruner", "median")
        self.moments, self.before = random.Random(8), pd.DataFrame()

    def begin(self, under: Sequence[str] = (), *, n_rows: int = 1) -> int:
        """Start or go on, until there are so many rows more; the driver's process."""
        process = self.sweep.start(prefix=under)
        self.sweep.wait_for_rows(len(self.before) + n_rows)
        return process.pid

    def look(self) -> pd.DataFrame:
        """The rows that came since the last look; those before are there as they were."""
        rows = self.sweep.rows()
        assert self.before.empty or kept(self.before, rows)
        new = rows.iloc[:0] if rows.empty else rows[~rows["trial_key"].isin(self.before.get("trial_key", []))]
        self.before = rows
        return new

    def end(self, code: int, told: str = "") -> pd.DataFrame:
        """Wait for the end; the rows that came since the last look."""
        sweep = self.sweep
        assert sweep.wait(120) == code, sweep.said
        assert not sweep.orphans()
        assert "Traceback" not in sweep.said
        if told:
            assert sweep.said.count(told) == 1
            assert sweep.said.count(f"continue with: accelsweep faulty --resume {sweep.sweep.name}") == 1
        new = self.look()
        assert len(self.before) < N_CELLS, "too few cells for all that happens"
        return new


def a_worker_and_the_raylet_are_killed(life: Life) -> None:
    """The sweep goes on with another worker."""
    life.begin()
    life.sweep.kill("worker", life.moments)
    life.sweep.wait_for_rows(life.sweep.n_rows() + 2)
    life.sweep.kill("raylet", life.moments)
    life.end(1, "ended early: ")


def a_second_process_is_refused_and_the_first_is_terminated(life: Life) -> None:
    """The signal goes to the whole group, as `timeout` and service managers send it."""
    driver = life.begin(ON_ONE_CPU)
    os.kill(driver, signal.SIGSTOP)  # so that cells are left when the second has been refused
    try:
        name = life.sweep.sweep.name
        second = subprocess.run(
            life.sweep.command("--resume", name), cwd=life.sweep.folder, capture_output=True, text=True, check=False,
            env=life.sweep.environment,
        )  # fmt: skip
    finally:
        os.kill(driver, signal.SIGCONT)
    assert second.returncode == 2, second
    assert f"is being run by process {driver} on" in second.stderr
    assert second.stderr.count("\n") == 1
    os.killpg(driver, signal.SIGTERM)
    new = life.end(130, "interrupted: finished cells are kept")
    assert not ON_ONE_CPU or set(new["n_threads"]) == {1}, "no more threads than usable CPUs"


def it_goes_on_where_signals_are_ignored_until_the_driver_is_killed(life: Life) -> None:
    driver = life.begin(IGNORING)
    first = life.look()
    for number in (signal.SIGHUP, signal.SIGINT):
        os.killpg(driver, number)
    life.sweep.wait_for_rows(len(life.before) + 2)
    life.sweep.kill("driver", life.moments, within_s=0.2)
    new = life.end(-signal.SIGKILL)
    assert pd.concat([first, new])["worker_pid"].nunique() == 1, "a clean worker is reused"


def it_goes_on_to_the_end(life: Life, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ray has nothing to do with it: its loop is replaced, which saves a start."""
    life.sweep.take_here(monkeypatch)
    put_loop(monkeypatch)
    capsys.readouterr()
    code = life.sweep.run_here()
    life.look()
    counts = life.before["status"].value_counts().to_dict()
    told = capsys.readouterr().out
    assert code == (1 if "crashed" in counts else 0), told
    assert sum(counts.values()) == N_CELLS
    assert set(counts) <= set(STATES)
    assert counts.get("crashed", 0) <= 1, "the one that was killed"
    assert f"{N_CELLS} cells: {counts['complete']} complete" in told


def the_study_has_each_cell_once(life: Life) -> None:
    (name,) = life.before["study_name"].unique()
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{life.sweep.sweep / 'study.db'}")
    assert len(study.trials) == N_CELLS, "no cell twice, none left running"
    assert {t.user_attrs["trial_key"]: (t.number, t.state.name) for t in study.trials} == {
        row.trial_key: (row.study_trial, STATES[row.status]) for row in life.before.itertuples()
    }


@pytest.mark.slow
def test_no_row_is_lost_or_doubled_whoever_is_killed_and_whatever_ends_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    life = Life(tmp_path)
    a_worker_and_the_raylet_are_killed(life)
    a_second_process_is_refused_and_the_first_is_terminated(life)
    it_goes_on_where_signals_are_ignored_until_the_driver_is_killed(life)
    it_goes_on_to_the_end(life, monkeypatch, capsys)
    the_study_has_each_cell_once(life)
