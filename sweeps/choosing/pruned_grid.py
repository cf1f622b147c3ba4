"""The grid with pruning: one Optuna study per stratum, asked after every round whether a cell is worth going on.

Cells of one stratum differ in batch size, memory format and the like, never in device, precision, model or task:
otherwise a fast device would prune every cell of a slow one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from analysis.contract.cells import Row
from sweeps.choosing.chooser import Rounds, Wait
from sweeps.choosing.optuna_study import StudyBook
from sweeps.choosing.studies import Studies, choices_of, params_of
from sweeps.plan.config import SweepConfig, TrialConfig, stratum_of


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


def _space(cells: Iterable[TrialConfig]) -> dict[str, CategoricalDistribution]:
    """What differs between a stratum's cells: for each parameter that varies its values, in the grid's order."""
    values: dict[str, dict[Any, None]] = {}
    for cell in cells:
        for name, value in choices_of(cell).items():
            values.setdefault(name, {})[value] = None
    return {name: CategoricalDistribution(list(v)) for name, v in values.items() if len(v) > 1 or name == "batch_size"}


class GridStudies(Studies):
    """Hands out the grid stratum by stratum and gives up the cells that its pruner does; ``cells`` are all of it."""

    def __init__(
        self, cells: Sequence[TrialConfig], config: SweepConfig, book: StudyBook, rows: Sequence[Row] = (),
        rounds: Mapping[str, Rounds] | None = None,
    ) -> None:  # fmt: skip
        self._by_key = {cell.key: cell for cell in cells}
        strata: dict[str, list[TrialConfig]] = {}
        for cell in cells:
            strata.setdefault(stratum_of(cell), []).append(cell)
        done = {row["trial_key"] for row in rows}
        left = (cell for members in strata.values() for cell in spread(members) if cell.key not in done)
        spaces = {name: _space(members) for name, members in strata.items()}
        super().__init__(left, config, book, spaces, rows, rounds or {})

    def next_cell(self) -> TrialConfig | Wait | None:
        cell = super().next_cell()
        if isinstance(cell, TrialConfig):
            name = stratum_of(cell)
            study, space = self._studies[name], self._spaces[name]
            study.enqueue_trial(params_of(cell, space))
            trial = study.ask(dict(space))
            trial.set_user_attr("trial_key", cell.key)
            self._running[cell.key] = name, trial
        return cell

    def _label_of(self, name: str, trial: FrozenTrial) -> str:
        return self._by_key[trial.user_attrs["trial_key"]].label
