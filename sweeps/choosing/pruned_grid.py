"""The grid with pruning: one Optuna study per stratum, asked after every round whether a cell is worth going on.

Cells of one stratum differ in batch size, memory format and the like, never in device, precision, model or task:
otherwise a fast device would prune every cell of a slow one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution

from analysis.contract.objectives import FIGURES, TASK_OPTIONS, reported_values
from sweeps.cell.message import Message
from sweeps.choosing.chooser import Wait, WholeGrid
from sweeps.choosing.margin_pruner import estimate
from sweeps.choosing.optuna_study import StudyBook, finished_trial, make_pruner, n_rounds, takes_estimates
from sweeps.plan.config import SweepConfig, TrialConfig, stratum_of
from sweeps.store.rows import SampleBlock
from sweeps.text import figure


def spread(cells: Sequence[TrialConfig]) -> list[TrialConfig]:
    """A stratum's order: the middle first, then its ends, then the middles of the gaps between.

    The first few cells then span the range, so that their median tells early what is poor.
    """
    if len(cells) < 3:
        return list(cells)
    order = [(len(cells) - 1) // 2, len(cells) - 1, 0]
    while len(order) < len(cells):
        known = sorted(order)
        gap, left = max((b - a, -a) for a, b in itertools.pairwise(known))
        order.append(-left + gap // 2)
    return [cells[i] for i in order]


def own_params(cell: TrialConfig) -> dict[str, Any]:
    """What may differ between the cells of a stratum."""
    own = {name: value for name, value in cell.options.items() if name not in TASK_OPTIONS}
    return {"batch_size": cell.batch_size, "memory_format": cell.memory_format, "compile": cell.compile, **own}


def _spaces(cells: Iterable[TrialConfig]) -> dict[str, CategoricalDistribution]:
    """The distributions of a stratum: for each parameter that varies its values, in the grid's order."""
    values: dict[str, dict[Any, None]] = {}
    for cell in cells:
        for name, value in own_params(cell).items():
            values.setdefault(name, {})[value] = None
    return {name: CategoricalDistribution(list(v)) for name, v in values.items() if len(v) > 1 or name == "batch_size"}


class GridStudies(WholeGrid):
    """Hands out the grid stratum by stratum and gives up the cells that its pruner does.

    Args:
        cells: The whole grid, cells recorded already included.
        config: The sweep.
        book: The study file.
        rows: Rows recorded already, when a sweep is resumed.
        rounds: Their rounds by key.
    """

    def __init__(
        self,
        cells: Sequence[TrialConfig],
        config: SweepConfig,
        book: StudyBook,
        rows: Sequence[Mapping[str, Any]] = (),
        rounds: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    ) -> None:
        self._config, self._book = config, book
        self._figure = FIGURES[config.pruning.prune_on]
        self._running = takes_estimates(config.pruning)
        self._by_key = {cell.key: cell for cell in cells}
        strata: dict[str, list[TrialConfig]] = {}
        for cell in cells:
            strata.setdefault(stratum_of(cell), []).append(cell)
        self._spaces = {name: _spaces(members) for name, members in strata.items()}
        self._studies = {name: self._open(name) for name in strata}
        self._trials: dict[str, optuna.Trial] = {}
        done = {row["trial_key"] for row in rows}
        self._reconcile(rows, rounds or {})
        super().__init__(cell for members in strata.values() for cell in spread(members) if cell.key not in done)

    def _open(self, name: str) -> optuna.Study:
        self._book.study(name, [self._figure.direction])
        study = optuna.create_study(
            study_name=name, direction=self._figure.direction,
            sampler=optuna.samplers.RandomSampler(seed=self._config.seed), pruner=make_pruner(self._config.pruning),
        )  # fmt: skip
        study.add_trials(self._book.trials(name))
        return study

    def _reconcile(self, rows: Sequence[Mapping[str, Any]], rounds: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Add the rows that a driver recorded and then died before it told the study file."""
        for name, study in self._studies.items():
            told = {trial.user_attrs["trial_key"] for trial in self._book.trials(name)}
            missing = [row for row in rows if row["study_name"] == name and row["trial_key"] not in told]
            for row in sorted(missing, key=lambda r: r["study_trial"]):
                cell = self._by_key[row["trial_key"]]
                trial = self._finished(cell, row, rounds.get(cell.key, ()))
                self._book.add(name, trial)
                study.add_trial(trial)

    def next_cell(self) -> TrialConfig | Wait | None:
        cell = super().next_cell()
        if isinstance(cell, TrialConfig):
            name = stratum_of(cell)
            study, space = self._studies[name], self._spaces[name]
            study.enqueue_trial({key: value for key, value in own_params(cell).items() if key in space})
            self._trials[cell.key] = trial = study.ask(dict(space))
            trial.set_user_attr("trial_key", cell.key)
        return cell

    def _reported(self, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> dict[int, float]:
        per_step = int(row.get("items_per_step") or 1)
        return reported_values(self._config.pruning.prune_on, rounds, per_step, running=self._running)

    def report(
        self, cell: TrialConfig, message: Message, rounds: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        trial = self._trials[cell.key]
        told = self._reported(message.row, rounds)
        if not told:
            return None
        step = max(told)
        trial.report(told[step], step)
        if message.is_final or not trial.should_prune():
            return None
        unit, value = self._figure.unit, estimate(told, running=self._running)
        against = self._compared_with(stratum_of(cell), step)
        return {
            "pruned_at_round": step - 1, "pruned_on": self._config.pruning.prune_on, "pruned_against": against,
            "status_reason": f"{self._config.pruning.pruner}: {figure(value)} {unit} after {n_rounds(step)}; {against}",
        }  # fmt: skip

    def _compared_with(self, name: str, step: int) -> str:
        """The best cell of the stratum by its report of the same round, or its last one before."""
        best: tuple[float, str] | None = None
        sign = 1.0 if self._figure.direction == "maximize" else -1.0
        for trial in self._studies[name].get_trials(deepcopy=False):
            told = {s: value for s, value in trial.intermediate_values.items() if s <= step}
            if trial.state.is_finished() and told:
                value = estimate(told, running=self._running)
                if best is None or sign * value > sign * best[0]:
                    best = value, self._by_key[trial.user_attrs["trial_key"]].label
        return "no other cell" if best is None else f"best {figure(best[0])} {self._figure.unit} of {best[1]}"

    def close(
        self, cell: TrialConfig, row: dict[str, Any], rounds: list[dict[str, Any]], samples: list[SampleBlock]
    ) -> None:
        name = stratum_of(cell)
        row.update(study_name=name, study_trial=self._book.n_trials(name))

    def _finished(
        self, cell: TrialConfig, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]
    ) -> optuna.trial.FrozenTrial:
        name = stratum_of(cell)
        space = self._spaces[name]
        params = {key: value for key, value in own_params(cell).items() if key in space}
        reported, broken = self._reported(row, rounds), self._config.limits.violations(row)
        return finished_trial(row, params, space, [self._config.pruning.prune_on], reported, broken)

    def recorded(self, cell: TrialConfig, row: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> None:
        frozen = self._finished(cell, row, rounds)
        self._book.add(stratum_of(cell), frozen)
        running = self._trials.pop(cell.key)
        study = self._studies[stratum_of(cell)]
        is_complete = frozen.state == optuna.trial.TrialState.COMPLETE
        study.tell(running, frozen.values if is_complete else None, state=frozen.state)

    def forget(self, cell: TrialConfig) -> None:
        self._trials.pop(cell.key, None)
