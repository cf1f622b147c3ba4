"""The one file that knows Ray's and Tune's private names: each may go with any release, and with it what is said here.

Looked up where they are used: a version that lacks one loses that alone, and everything else goes on.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import ray
from ray.tune import Callback

try:
    from ray.tune.progress_reporter import TrialProgressCallback as _Reporter
except ImportError:
    _Reporter = Callback
REPORTER: Any = _Reporter
"""The class by which Tune knows that it has a reporter; without it Tune adds its own, which keeps every trial."""

STORE_FOLDER = "_plasma_directory"
"""The argument of ``ray.init`` that says where its object store lies. Not one that Ray documents: a version that
refuses it says so when it starts, where /dev/shm is too small."""
_SETS = ("_live_trials", "_stopped_trials", "_failed_trials", "_trials_to_cache")
_BY_ID = ("_trial_metadata", "_cached_trial_decisions", "_queued_trial_decisions")
"""Where Tune's controller keeps trials (Ray 2.11 to 2.60)."""


def silence_epitaphs() -> None:
    """Keep Ray from printing what a dead worker said last and the end of the raylet's log.

    Without the name: they are printed, between our lines.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private import worker

        if hasattr(worker, "print_to_stdstream"):
            worker.print_to_stdstream = lambda *_, **__: None


def job_config() -> ray.job_config.JobConfig:
    """Where workers look for modules: where ours are, not first where the user is.

    Ray puts the driver's working folder before the standard library of every worker, so that a ``statistics.py`` there
    is every package's. It does not for drivers that its client starts.

    Without the names: Ray's own way, and a module there that has another's name ends every worker.
    """
    root = Path(__file__).resolve().parent.parent.parent
    installed = {"site-packages", "dist-packages"}  # found anyway, and not to stand before the standard library
    try:
        return ray.job_config.JobConfig(
            _client_job=True, _py_driver_sys_path=[] if root.name in installed else [str(root)]
        )
    except TypeError:
        return ray.job_config.JobConfig()


@contextlib.contextmanager
def servers_in_own_group() -> Iterator[None]:
    """Start Ray's servers in a process group of their own.

    ``timeout``, a closing terminal and service managers signal a command's whole group. The servers would end before
    the driver, which needs them to end its sweep in order.

    Without the name: what signals the command's whole group ends them before the driver, and the sweep ends early.
    """
    try:
        from ray._private import services

        original = services.ConsolePopen
    except (ImportError, AttributeError):
        yield
        return
    services.ConsolePopen = functools.partial(original, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = original


def free_by_node() -> Mapping[str, Mapping[str, float]]:
    """What is free of each node's resources, by its id.

    Without the name: nothing is known of any node, and what a trial waits for is told without what is free.
    """
    try:
        return cast("Mapping[str, Mapping[str, float]]", ray._private.state.available_resources_per_node())
    except AttributeError:
        return {}


def has_resources(controller: Any, trial: Any) -> bool:
    """Whether a trial has its resources, and only its worker is not up yet.

    Without the names: False, and it is told that a trial waits though its worker is starting.
    """
    actor = getattr(controller, "_trial_to_actor", {}).get(trial)
    manager = getattr(controller, "_actor_manager", None)
    return actor is not None and actor in getattr(manager, "_live_actors_to_ray_actors_resources", ())


def kill_actor(trial: Any) -> None:
    """End the worker that runs a trial.

    Without the name: a cell over its time runs to its end, and is recorded as timed out then.
    """
    actor = getattr(getattr(trial, "temporary_state", None), "ray_actor", None)
    if actor is not None:
        ray.kill(actor)


def forget(controller: Any, trial: Any) -> bool:
    """Make Tune's controller let go of a trial; False while an actor still belongs to it.

    Without the names: Tune keeps its trials, some 60 kB each.
    """
    if not trial.is_finished() or trial in getattr(controller, "_trial_to_actor", {}):
        return False
    for name in _SETS:
        getattr(controller, name, set()).discard(trial)
    for name in _BY_ID:
        getattr(controller, name, {}).pop(trial.trial_id, None)
    with contextlib.suppress(ValueError):
        controller.get_trials().remove(trial)
    return True
