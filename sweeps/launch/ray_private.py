"""Ray's and Tune's private names: each may go with any release, and with it what is said here.

Looked up where they are used: a version that lacks one loses that alone, and everything else goes on.
The only other file that knows any is ``servers/private.py``, of how Ray's servers are started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import ray

from sweeps.launch.servers.worker_process import SITES

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


class _Leaving:
    """Ray's worker while a thread ends it: told of what others drop meanwhile, it would end the process."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._worker, name)

    def remove_object_ref_reference(self, *_: Any) -> None: ...

    def remove_actor_handle_reference(self, *_: Any) -> None: ...


def forget_references() -> None:
    """Let other threads drop what they have of Ray while this one ends it.

    Without the names: the process may end with an error after all was measured.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private.worker import global_worker

        global_worker.core_worker = _Leaving(global_worker.core_worker)


def job_config() -> ray.job_config.JobConfig:
    """Where workers look for modules: where ours are, not first where the user is.

    Ray puts the driver's working folder before the standard library of every worker, so that a ``statistics.py`` there
    is every package's. It does not for drivers that its client starts.

    Without the names: Ray's own way, and a module there that has another's name ends every worker.
    """
    root = Path(__file__).resolve().parent.parent.parent
    try:
        return ray.job_config.JobConfig(_client_job=True, _py_driver_sys_path=[] if root.name in SITES else [str(root)])
    except TypeError:
        return ray.job_config.JobConfig()


def reporter() -> Any:
    """The class by which Tune knows that it has a reporter.

    Without the name: Tune adds its own, which keeps every trial.
    """
    try:
        from ray.tune.progress_reporter import TrialProgressCallback
    except ImportError:
        from ray.tune import Callback as TrialProgressCallback
    return TrialProgressCallback


@contextlib.contextmanager
def plain_workers(actor: type) -> Iterator[None]:
    """Let Tune run trials in Ray's plain workers, of which one is started ahead, by an actor that needs no Tune.

    Tune gives its workers variables of their own (``PL_DISABLE_FORK``; the others are the driver's), so that each is a
    new process, made by way of Ray's agent of environments. And it sends them what takes Tune itself to be read: of its
    storage they get the folder to work in, of its description of a trial nothing.

    Without the names: it does, and the first cell waits until a worker has imported torch once more, or Tune.

    Args:
        actor: What is made for each trial; asked as Tune's Trainable is.
    """
    try:
        from ray.tune.execution.class_cache import _ActorClassCache
    except ImportError:
        yield
        return
    with contextlib.ExitStack() as undo:
        undo.enter_context(replaced(_ActorClassCache, "get", lambda *_: ray.remote(actor)))
        with contextlib.suppress(ImportError):
            from ray.train._internal.storage import StorageContext
            from ray.tune.experiment.trial import _TrialInfo

            for kind, sent in ((StorageContext, _folder_of), (_TrialInfo, _nothing)):
                ray.util.register_serializer(kind, serializer=sent, deserializer=_as_it_is)
                undo.callback(ray.util.deregister_serializer, kind)
        yield


def _folder_of(storage: Any) -> str | None:
    """Where a trial is to work; None where it cannot be told, as of the storage of all trials."""
    with contextlib.suppress(AttributeError, RuntimeError):
        return str(storage.trial_working_directory)
    return None


def _nothing(_: Any) -> None: ...


def _as_it_is(sent: Any) -> Any:
    return sent


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute replaced for a while, if there is one."""
    if not hasattr(owner, name):
        yield
        return
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def free_by_node() -> Mapping[str, Mapping[str, float]]:
    """What is free of each node's resources, by its id.

    Where Ray has no such function: empty, and the message about a waiting trial omits the free resources.
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
