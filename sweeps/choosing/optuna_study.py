"""Optuna's side of a sweep: its pruners and samplers by name, and the study file that optuna-dashboard reads.

The study file is written as the Parquet is: once for each cell, when it has ended. A running cell lives in a study in
memory, so that a driver that dies leaves no trial behind that runs for ever, and reporting a round costs no disk.
"""

from __future__ import annotations

import contextlib
import errno
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from analysis.contract.cells import Row
from analysis.contract.objectives import OBJECTIVES, Direction
from analysis.contract.pruners import PRUNERS
from sweeps.plan.config import SweepConfig
from sweeps.plan.search import SAMPLERS, PruningConfig
from sweeps.text import cells_told, one_line, sqlite_url

STUDY_FILE = "study.db"
LOCKED_S = 1.0
"""How long a write waits for another program's lock; the next cell should not, and its trial is written later."""
_UNWRITABLE = (optuna.exceptions.StorageInternalError, SQLAlchemyError)
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
"""Optuna's state of a row's status; any other status is FAIL."""

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
# A cell's rounds go by time: two cells rarely have the same number, and the test pairs those that both have.
warnings.filterwarnings("ignore", "WilcoxonPruner finds steps", UserWarning)

UNKNOWN_VIOLATION = 1e9
"""Of a limit on a figure that a row lacks; storage takes no infinity."""


def estimate(reports: Mapping[int, float], *, running: bool) -> float:
    """A cell's figure by what was told of its rounds: the last estimate, or the median of single rounds."""
    return reports[max(reports)] if running else median(reports.values())


def finite(reports: Mapping[int, float]) -> dict[int, float]:
    """What was told of rounds without NaN and infinity, which a study file of an older version may hold."""
    return {step: value for step, value in reports.items() if math.isfinite(value)}


class MarginPruner(optuna.pruners.BasePruner):
    """Prunes what the wrapped pruner does, except within a margin (a share) of the study's best by the same round.

    What else a machine does moves a cell's speed by some per cent from one moment to the next. Of two cells closer than
    that a few rounds cannot tell which is faster, whatever test is made of them; measuring such a cell to its end costs
    little, for few cells are so close to the best.
    """

    def __init__(self, wrapped: optuna.pruners.BasePruner, margin: float, *, running: bool) -> None:
        self._wrapped, self._margin, self._running = wrapped, margin, running

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        # The wrapped pruner is asked first: successive halving notes what it saw at its rungs.
        return self._wrapped.prune(study, trial) and not self._is_close(study, trial)

    def _is_close(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        now, sign = trial.last_step, 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        told = [
            {
                step: value
                for step, value in finite(other.intermediate_values).items()
                if now is not None and step <= now
            }
            for other in study.get_trials(deepcopy=False)
            if other.state.is_finished()
        ]
        best = max((sign * estimate(reports, running=self._running) for reports in told if reports), default=None)
        if best is None:
            return False
        own = estimate(trial.intermediate_values, running=self._running)
        return best - sign * own <= self._margin * abs(best)


def _cause(error: BaseException) -> str:
    """What SQLite said, of what Optuna and SQLAlchemy made of it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)


@contextlib.contextmanager
def _opening() -> Iterator[None]:
    """OSError with what SQLite said, where the study file is locked or no longer one."""
    try:
        yield
    except _UNWRITABLE as error:
        raise OSError(errno.EIO, f"{STUDY_FILE} cannot be opened: {_cause(error)}") from error


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
        file = folder / STUDY_FILE
        with _opening():
            # Checking which Optuna release made the file takes a third of the time; a new file needs no such check.
            self._storage = optuna.storages.RDBStorage(
                sqlite_url(file), {"connect_args": {"timeout": LOCKED_S}}, skip_compatibility_check=not file.exists()
            )
        self._studies: dict[str, optuna.Study] = {}
        self._waiting: list[tuple[str, FrozenTrial]] = []
        self.n_trials: Counter[str] = Counter()
        """Trials of each study that has been opened; the next one's number."""

    def study(self, name: str, directions: Sequence[Direction]) -> optuna.Study:
        """The study of a name, made if it is not there."""
        if name not in self._studies:
            with _opening():
                self._studies[name] = optuna.create_study(
                    storage=self._storage, study_name=name, directions=list(directions), load_if_exists=True,
                    sampler=optuna.samplers.RandomSampler(), pruner=optuna.pruners.NopPruner(),
                )  # fmt: skip
                self.n_trials[name] = len(self.trials(name))
        return self._studies[name]

    def trials(self, name: str) -> list[FrozenTrial]:
        """The trials of a study that has been opened, in the order of their numbers."""
        return self._studies[name].get_trials(deepcopy=False)

    def add(self, name: str, trial: FrozenTrial) -> None:
        """Write one finished trial; while another program locks the file it waits for the next one, or for the end."""
        self._waiting.append((name, trial))
        self.n_trials[name] += 1
        self.flush()

    def flush(self) -> str | None:
        """Write the trials that wait; why they still do, or None. Resuming writes them as well."""
        try:
            while self._waiting:
                name, trial = self._waiting[0]
                self._studies[name].add_trial(trial)
                del self._waiting[0]
        except _UNWRITABLE as error:
            return f"{STUDY_FILE} lacks {cells_told(len(self._waiting))}, which resuming adds: {_cause(error)}"
        return None
