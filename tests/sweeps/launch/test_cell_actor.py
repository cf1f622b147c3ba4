"""The actor that runs cells: asked as Tune asks a Trainable, without Tune; one that became unclean runs nothing more."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.tune.execution import tune_controller
from ray.tune.experiment import trial

from sweeps.cell.message import Message, Place
from sweeps.launch import cell_actor
from sweeps.launch.cell_actor import CellActor, UncleanWorkerError
from sweeps.launch.ray_private import _folder_of
from sweeps.plan.config import TrialConfig
from sweeps.plan.measuring import MeasureConfig
from tests.sweeps.session.without_ray import FACTS, put_tiny

NOT_CALLED = {"train_buffered", "save", "restore", "export_model"}
"""Results come one by one, and Tune keeps and exports nothing."""


def test_it_has_every_method_that_tune_calls_and_needs_no_tune() -> None:
    source = "".join(Path(module.__file__).read_text() for module in (tune_controller, trial))
    called = set(re.findall(r'method_name ?= ?"(\w+)"', source)) | set(re.findall(r"ray_actor\.(\w+)\.remote", source))
    assert called >= {"train", "reset"}
    assert called - NOT_CALLED <= set(dir(CellActor))
    assert hasattr(CellActor, "stop")
    code = "import sys, sweeps.launch.cell_actor; print({'ray.tune', 'pandas', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n", done.stderr
    assert cloudpickle.loads(cloudpickle.dumps(CellActor)) is CellActor


def config(does: str) -> dict[str, Any]:
    cell = TrialConfig(workload="tiny", device="cpu", batch_size=1, precision="fp32", options={"does": does})
    measure = MeasureConfig(min_rounds=1, min_s=0.002, max_s=0.004, round_s=0.002, warmup_max_s=0.01)
    return {
        "cell": cell.as_dict(), "measure": asdict(measure), "bundles": [{"CPU": 1}], "n_cpus": 1, "timeout_s": None,
        "hang_s": 60.0, "on_nodes": None, "is_fresh": False, "code": None, "device_facts": {Place().key: FACTS},
        "__trial_info__": None,
    }  # fmt: skip


def test_it_works_in_the_folder_it_is_given_and_once_unclean_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_tiny(tmp_path, monkeypatch)
    monkeypatch.setattr("sweeps.launch.cell_actor.place_here", Place)
    monkeypatch.setattr("sweeps.launch.cell_actor.end_children", lambda: None)  # this process has others

    def last(actor: CellActor) -> dict[str, Any]:
        while not (result := actor.train())["message"].is_final:
            pass
        return result

    actor = CellActor(config("fine"), storage=str(tmp_path / "a" / "1"))
    assert Path.cwd() == tmp_path / "a" / "1"
    result = last(actor)
    assert (result["done"], result["message"].row["status"]) == (True, "complete")
    assert actor.reset(config("fail in step"), storage=object())
    assert Path.cwd() == tmp_path / "a" / "1", "where Tune itself keeps the folder"
    result = last(actor)
    assert (result["done"], result["message"].row["status"]) == (False, "error")
    with pytest.raises(UncleanWorkerError):
        actor.train()
    actor.stop()


def test_of_tunes_storage_only_the_folder_to_work_in_is_sent() -> None:
    class Storage:
        trial_working_directory = Path("/scratch/1")

    class OfAllTrials:
        @property
        def trial_working_directory(self) -> str:
            raise RuntimeError("no trial")

    assert [_folder_of(kind()) for kind in (Storage, OfAllTrials, object)] == ["/scratch/1", None, None]


def pausing(cooldown_s: float, *, ended_well: bool, is_watching: bool = False) -> CellActor:
    """An actor whose cell is measured in one go, here or in other processes that it watches."""
    made = CellActor.__new__(CellActor)
    made._team, made._is_unclean, made._has_told_all, made._is_watching = None, False, False, is_watching
    made._measure = SimpleNamespace(cooldown_s=cooldown_s, report_every_s=1.0)  # type: ignore[assignment]
    last = Message(trial_key="k", row={"status": "complete"}, is_final=True)
    made._run = SimpleNamespace(  # type: ignore[assignment]
        is_finished=True, ended_well=ended_well, take_message=lambda: last, close=lambda: None
    )
    return made


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr(cell_actor, "end_children", lambda: None)
    return seconds


def step(made: CellActor) -> tuple[bool, bool]:
    """Whether a step tells the whole row, and whether it is the last."""
    told: dict[str, Any] = made.train()
    return "message" in told, told["done"]


def test_a_row_is_told_before_the_pause_that_follows_it(slept: list[float]) -> None:
    made = pausing(60.0, ended_well=True)
    assert (step(made), slept) == ((True, False), [])
    assert (step(made), slept) == ((False, True), [60.0])


def test_without_a_pause_the_row_is_the_end(slept: list[float]) -> None:
    assert (step(pausing(0.0, ended_well=True)), slept) == ((True, True), [])


def test_a_worker_that_is_unfit_for_another_cell_says_so_after_its_row(slept: list[float]) -> None:
    made = pausing(0.0, ended_well=False)
    assert step(made) == (True, False)
    with pytest.raises(UncleanWorkerError):
        made.train()


def test_one_that_only_watched_a_cell_that_failed_is_fit_for_another(slept: list[float]) -> None:
    ended: list[str] = []
    made = pausing(0.0, ended_well=False, is_watching=True)
    made._team = SimpleNamespace(end=lambda: ended.append("its processes"))  # type: ignore[assignment]
    assert (step(made), ended, made._team) == ((True, True), ["its processes"], None)
