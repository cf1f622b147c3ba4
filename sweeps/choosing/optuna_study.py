"""Optuna's side of a sweep: its pruners and samplers by name, and the study file that optuna-dashboard reads.

The study file is written as the Parquet is: once for each cell, when it has ended. A running cell lives in a study in
memory, so that a driver that dies leaves no trial behind that runs for ever, and reporting a round costs no disk.
"""

from __future__ import annotations

import errno
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from analysis.contract.cells import Row
from analysis.contract.objectives import OBJECTIVES, Direction
from analysis.contract.pruners import PRUNERS
from sweeps.choosing.margin_pruner import MarginPruner
from sweeps.plan.config import SweepConfig
from sweeps.plan.search import SAMPLERS, PruningConfig

STUDY_FILE = "study.db"
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
"""Optuna's state of a row's status; any other status is FAIL."""

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
# A cell's rounds go by time: two cells rarely have the same number, and the test pairs those that both have.
warnings.filterwarnings("ignore", "WilcoxonPruner finds steps", UserWarning)

UNKNOWN_VIOLATION = 1e9
"""Of a limit on a figure that a row lacks; storage takes no infinity."""


def make_pruner(config: PruningConfig) -> optuna.pruners.BasePruner:
    """Optuna's pruner of a configuration, held back within its margin."""
    pruner = _pruner_alone(config.pruner, config.parameters)
    return MarginPruner(pruner, config.margin, running=config.takes_estimates) if config.margin else pruner


def _pruner_alone(name: str, parameters: Mapping[str, Any]) -> optuna.pruners.BasePruner:
    row = PRUNERS[name]
    own = {key: value for key, value in parameters.items() if key in row.parameters}
    if row.wraps:
        own["wrapped_pruner"] = _pruner_alone(row.wraps, parameters)
    pruner: optuna.pruners.BasePruner = getattr(optuna.pruners, row.optuna)(**own)
    return pruner


def make_sampler(config: SweepConfig) -> optuna.samplers.BaseSampler:
    """Optuna's sampler of a search, which heeds the constraints that trials carry; a grid's has nothing to sample."""
    name = SAMPLERS[config.search.sampler if config.search else "random"]
    sampler: optuna.samplers.BaseSampler = getattr(optuna.samplers, name)(seed=config.seed)
    return sampler


def finished_trial(
    row: Row, params: Mapping[str, Any], space: Mapping[str, BaseDistribution], objectives: Sequence[str],
    intermediate: Mapping[int, float], violations: Mapping[str, float],
) -> FrozenTrial:  # fmt: skip
    """A recorded row as a trial of a study.

    A pruned trial's value is its last report, as Optuna has it. A complete row without the figure that the study is
    about (its energy is unknown, say) is FAIL, because Optuna knows no complete trial without a value.
    """
    state, values = STATES.get(row["status"], TrialState.FAIL), None
    if state == TrialState.COMPLETE:
        values = [v for name in objectives if (v := OBJECTIVES[name].of_row(row)) is not None]
        if len(values) < len(objectives):
            state, values = TrialState.FAIL, None
    elif state == TrialState.PRUNED and intermediate:
        values = [intermediate[max(intermediate)]]
    shown = ("trial_key", "status", "throughput_items_per_s", "step_median_s", "energy_per_item_j", "accuracy_best")
    attributes = {name: row[name] for name in shown if row.get(name) is not None}
    return optuna.trial.create_trial(
        state=state, values=values, params=dict(params), distributions=dict(space), user_attrs=attributes,
        intermediate_values=dict(intermediate),
        constraints={name: value if math.isfinite(value) else UNKNOWN_VIOLATION for name, value in violations.items()},
    )  # fmt: skip


class StudyBook:
    """The SQLite file beside the Parquet in a sweep's folder, with one study for each stratum or search."""

    def __init__(self, folder: Path) -> None:
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{folder / STUDY_FILE}")
        self._studies: dict[str, optuna.Study] = {}
        self._n_trials: dict[str, int] = {}

    def study(self, name: str, directions: Sequence[Direction]) -> optuna.Study:
        """The study of a name, made if it is not there."""
        if name not in self._studies:
            self._studies[name] = optuna.create_study(
                storage=self._storage, study_name=name, directions=list(directions), load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(), pruner=optuna.pruners.NopPruner(),
            )  # fmt: skip
            self._n_trials[name] = len(self.trials(name))
        return self._studies[name]

    def n_trials(self, name: str) -> int:
        """Trials of a study that has been opened; the next one's number."""
        return self._n_trials[name]

    def trials(self, name: str) -> list[FrozenTrial]:
        """The trials of a study that has been opened, in the order of their numbers."""
        return self._studies[name].get_trials(deepcopy=False)

    def add(self, name: str, trial: FrozenTrial) -> None:
        """Write one finished trial; OSError if the disk takes no more."""
        try:
            self._studies[name].add_trial(trial)
        except optuna.exceptions.StorageInternalError as error:
            raise OSError(errno.EIO, f"{STUDY_FILE} cannot be written") from error
        self._n_trials[name] += 1
