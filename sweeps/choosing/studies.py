"""What the choosers with Optuna studies share: a running trial hears of its rounds, a recorded one of its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from analysis.contract.objectives import OBJECTIVES, told_values
from sweeps.cell.message import Message
from sweeps.choosing.chooser import Chooser
from sweeps.choosing.margin_pruner import estimate
from sweeps.choosing.optuna_study import StudyBook, finished_trial, make_pruner, make_sampler
from sweeps.plan.config import SweepConfig, TrialConfig
from sweeps.store.rows import SampleBlock
from sweeps.text import figure

Rounds = Sequence[Mapping[str, Any]]


def tell(study: optuna.Study, running: optuna.Trial, ended: FrozenTrial) -> None:
    """End a running trial as another one ended."""
    for name, value in ended.user_attrs.items():
        running.set_user_attr(name, value)
    for name, value in ended.constraints.items():
        running.set_constraint(name, value)
    study.tell(running, ended.values if ended.state == TrialState.COMPLETE else None, state=ended.state)


class Studies(Chooser):
    """Studies in memory by name, each beside the one of its name in the study file.

    Args:
        cells: What is handed out, where that is known.
        config: The sweep.
        book: The study file.
        objectives: What the studies are about.
        sampler: Of ``SAMPLERS``.
    """

    def __init__(
        self, cells: Iterable[TrialConfig], config: SweepConfig, book: StudyBook, *, objectives: Sequence[str],
        sampler: str,
    ) -> None:  # fmt: skip
        super().__init__(cells)
        self._config, self._book, self._objectives, self._sampler = config, book, objectives, sampler
        self._is_pruning = len(objectives) == 1 and config.pruning.pruner != "none"
        self._studies: dict[str, optuna.Study] = {}
        self._running: dict[str, tuple[str, optuna.Trial]] = {}

    def _space_of(self, name: str) -> Mapping[str, BaseDistribution]:
        """What may differ between the trials of a study."""
        raise NotImplementedError

    def _params_of(self, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """A recorded row's parameters, as its study names them."""
        raise NotImplementedError

    def _label_of(self, name: str, trial: FrozenTrial) -> str:
        """The cell of a finished trial, for people."""
        raise NotImplementedError

    def _open(self, name: str, rows: Sequence[Mapping[str, Any]], rounds: Mapping[str, Rounds]) -> None:
        """Make a study, with what its file and the rows know.

        Some rows a driver recorded and then died before it told the study file.
        """
        directions = [OBJECTIVES[o].direction for o in self._objectives]
        self._book.study(name, directions)
        self._studies[name] = study = optuna.create_study(
            study_name=name, directions=directions, sampler=make_sampler(self._sampler, self._config.seed),
            pruner=make_pruner(self._config.pruning),
        )  # fmt: skip
        told = {trial.user_attrs["trial_key"] for trial in self._book.trials(name)}
        missing = [row for row in rows if row["study_name"] == name and row["trial_key"] not in told]
        for row in sorted(missing, key=lambda r: r["study_trial"]):
            of_cell = rounds.get(row["trial_key"], ())
            self._book.add(name, self._finished(name, row, self._params_of(name, row), of_cell))
        study.add_trials(self._book.trials(name))

    def _finished(self, name: str, row: Mapping[str, Any], params: Mapping[str, Any], rounds: Rounds) -> FrozenTrial:
        broken = self._config.limits.violations(row)
        return finished_trial(row, params, self._space_of(name), self._objectives, self._told(row, rounds), broken)

    def _told(self, row: Mapping[str, Any], rounds: Rounds) -> dict[int, float]:
        if not self._is_pruning:
            return {}
        per_step = int(row.get("items_per_step") or 1)
        return told_values(self._objectives[0], rounds, per_step, running=self._config.pruning.takes_estimates)

    def report(self, cell: TrialConfig, message: Message, rounds: Rounds) -> Mapping[str, Any] | None:
        told = self._told(message.row, rounds)
        if not told:
            return None
        name, trial = self._running[cell.key]
        step, objective = max(told), self._objectives[0]
        trial.report(told[step], step)
        if message.is_final or not trial.should_prune():
            return None
        value = self._shown(estimate(told, running=self._config.pruning.takes_estimates))
        against, after = self._compared_with(name, step), f"{step} round{'s' * (step > 1)}"
        return {
            "pruned_at_round": step - 1, "pruned_on": objective, "pruned_against": against,
            "status_reason": f"{self._config.pruning.pruner}: {value} after {after}; {against}",
        }  # fmt: skip

    def _shown(self, value: float) -> str:
        return f"{figure(value)} {OBJECTIVES[self._objectives[0]].unit}"

    def _compared_with(self, name: str, step: int) -> str:
        """The best cell of a study by its report of the same round, or its last one before."""
        found: list[tuple[float, FrozenTrial]] = []
        for trial in self._studies[name].get_trials(deepcopy=False):
            told = {s: value for s, value in trial.intermediate_values.items() if s <= step}
            if trial.state.is_finished() and told:
                found.append((estimate(told, running=self._config.pruning.takes_estimates), trial))
        gain = OBJECTIVES[self._objectives[0]].gain
        best = max(found, key=lambda pair: gain(pair[0]), default=None)
        return "no other cell" if best is None else f"best {self._shown(best[0])} of {self._label_of(name, best[1])}"

    def close(
        self, cell: TrialConfig, row: dict[str, Any], rounds: list[dict[str, Any]], samples: list[SampleBlock]
    ) -> None:
        name, _ = self._running[cell.key]
        row.update(study_name=name, study_trial=self._book.n_trials(name))

    def recorded(self, cell: TrialConfig, row: Mapping[str, Any], rounds: Rounds) -> None:
        name, trial = self._running.pop(cell.key)
        frozen = self._finished(name, row, trial.params, rounds)
        self._book.add(name, frozen)
        tell(self._studies[name], trial, frozen)

    def forget(self, cell: TrialConfig) -> None:
        self._running.pop(cell.key, None)
