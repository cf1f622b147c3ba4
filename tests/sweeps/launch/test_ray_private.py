"""Ray without any one of its private names: what is lost is said in ``ray_private``, and nothing else is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray._private import state, worker

from sweeps.launch import ray_private
from sweeps.launch.lost_nodes import NodeWatch
from sweeps.scheduling.nodes import Cluster, Node, Pool

LAUNCH = Path(ray_private.__file__).parent
NODE = Node(node_id="a" * 56, host="h", resources={"CPU": 4.0}, devices={"cpu": 1})
POOL = Pool(bundles=((("CPU", 4.0),),), n_cpus=4, node_ids=(NODE.node_id,), n_slots=1)


def waiting_for() -> str:
    placement: Any = SimpleNamespace(cluster=Cluster([NODE]))
    ledger: Any = SimpleNamespace()
    return NodeWatch(placement, ledger, print, 1.0)._state(POOL)


def test_no_other_file_knows_private_names() -> None:
    for path in LAUNCH.rglob("*.py"):
        if path.name in {"ray_private.py", "private.py"}:
            continue
        names = {n.attr for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)}
        assert "temporary_state" not in names
        assert not re.search(r"ray\._private|ray\._raylet|ray import _|_plasma|controller\._", path.read_text()), (
            path.name
        )


def test_epitaphs_are_printed_where_they_cannot_be_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(worker, "print_to_stdstream")
    ray_private.silence_epitaphs()
    assert not hasattr(worker, "print_to_stdstream")


def test_what_a_trial_waits_for_is_told_without_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "available_resources_per_node", lambda: {NODE.node_id: {"CPU": 1.0}})
    assert waiting_for() == "aaaaaaaa (h) has 1 of 4 CPU free"
    monkeypatch.delattr(state, "available_resources_per_node")
    assert waiting_for() == "aaaaaaaa (h) has 4 CPU"
    monkeypatch.delattr(ray, "_private")
    assert waiting_for() == "aaaaaaaa (h) has 4 CPU"


def test_a_trial_counts_as_waiting_where_tune_does_not_say_that_its_worker_starts() -> None:
    manager = SimpleNamespace(_live_actors_to_ray_actors_resources={"actor": ()})
    whole = SimpleNamespace(_trial_to_actor={"trial": "actor"}, _actor_manager=manager)
    assert ray_private.has_resources(whole, "trial")
    assert not ray_private.has_resources(whole, "other")
    for name in ("_trial_to_actor", "_actor_manager"):
        less = SimpleNamespace(**{n: v for n, v in vars(whole).items() if n != name})
        assert not ray_private.has_resources(less, "trial")
    assert not ray_private.has_resources(SimpleNamespace(**{**vars(whole), "_actor_manager": object()}), "trial")


class Trial(SimpleNamespace):
    __hash__ = object.__hash__

    def is_finished(self) -> bool:
        return True


@pytest.mark.parametrize("lacking", [None, *ray_private._SETS, *ray_private._BY_ID, "_trial_to_actor"])
def test_a_trial_is_forgotten_wherever_else_it_is_kept(lacking: str | None) -> None:
    trial = Trial(trial_id="t1")
    kept = {**{n: {trial} for n in ray_private._SETS}, **{n: {"t1": 1} for n in ray_private._BY_ID},
            "_trial_to_actor": {}}  # fmt: skip
    kept.pop(lacking or "", None)
    trials = [trial]
    assert ray_private.forget(SimpleNamespace(**kept, get_trials=lambda: trials), trial)
    assert not trials
    assert not any(kept.values())


def test_a_worker_that_cannot_be_found_is_left_to_end_by_itself() -> None:
    ray_private.kill_actor(SimpleNamespace())
    ray_private.kill_actor(SimpleNamespace(temporary_state=SimpleNamespace()))
    ray_private.kill_actor(SimpleNamespace(temporary_state=SimpleNamespace(ray_actor=None)))


def test_tune_is_used_without_the_class_of_its_reporter() -> None:
    code = """
import ray.tune.progress_reporter
del ray.tune.progress_reporter.TrialProgressCallback
from sweeps.launch.tune_plugins import SilentProgress
print(SilentProgress.__mro__[1].__module__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "ray.tune.callback\n", done.stderr


def test_workers_look_for_modules_where_ray_would_have_them_if_it_cannot_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ray_private.job_config()._py_driver_sys_path == [str(LAUNCH.parent.parent)]

    class Without:
        def __init__(self) -> None:
            self._py_driver_sys_path: list[str] = []

    monkeypatch.setattr(ray.job_config, "JobConfig", Without)
    assert ray_private.job_config()._py_driver_sys_path == []
