"""Optuna's pruners: THE table from which the command line, the checks and the construction follow.

Names of classes and parameters are Optuna's. Defaults too, except that a study may prune after two trials: strata of a
grid are small, and Optuna's five would often never prune.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a pruner, and so an option of the command line."""

    kind: type
    told: str  # the help, without its pruners' names
    low: float = 0  # the smallest value that Optuna takes
    high: float = math.inf
    ours: Any = None  # our default; None for Optuna's
    on_accuracy: Any = None  # our default where accuracy is judged, if it is another
    needs: str | None = None  # the parameter without which Optuna takes only 0

    def refusal(self, value: float, given: Container[str]) -> str | None:
        """What is wrong with a value beside the other parameters given, or None."""
        if not self.low <= value <= self.high:
            allowed = f"be at least {self.low}" if math.isinf(self.high) else f"lie between {self.low} and {self.high}"
            return f"{value} must {allowed}"
        if self.needs and value and self.needs not in given:
            return f"{value} needs --{self.needs.replace('_', '-')}; without it only 0"
        return None


@dataclass(frozen=True, kw_only=True)
class Pruner:
    """A pruner of Optuna."""

    optuna: str  # its class in optuna.pruners
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    takes_estimates: bool = True  # it compares estimates so far; otherwise single rounds, which it pairs
    wraps: str | None = None  # the pruner that it holds back, whose parameters it takes too


MOST_RUNGS = 1000
"""Optuna raises the reduction factor to this power, whose digits must end; no cell has 2**1000 rounds."""
_PERCENTILE = {
    "n_startup_trials": Parameter(
        kind=int, ours=2, told="cells that must have ended before one is pruned. Default: 2."
    ),
    "n_warmup_steps": Parameter(
        kind=int, ours=2, on_accuracy=3, told="rounds before a cell may be pruned. Default: 2; on accuracy 3, "
        "an epoch, before which a network does little better than chance.",
    ),
    "interval_steps": Parameter(kind=int, low=1, told="judge every N rounds. Default: 1."),
    "n_min_trials": Parameter(
        kind=int, low=1, told="cells that must have a value at a round before it is judged. Default: 1."
    ),
}  # fmt: skip
_HALVING = {
    "min_resource": Parameter(
        kind=int, low=1, ours=3, told="rounds before a cell may be pruned. Default: 3, since single rounds are noisy "
        "and three make an epoch of training.",
    ),
    "reduction_factor": Parameter(kind=int, low=2, told="one cell in N is promoted at each rung. Default: 3, 4."),
    "bootstrap_count": Parameter(kind=int, told="cells that a rung needs before any is pruned. Default: 0."),
}  # fmt: skip

PRUNERS = {
    "none": Pruner(optuna="NopPruner"),
    "median": Pruner(optuna="MedianPruner", parameters=_PERCENTILE),
    "percentile": Pruner(optuna="PercentilePruner", parameters=_PERCENTILE | {
        "percentile": Parameter(
            kind=float, high=100, ours=25.0, told="keep this best share of the cells, in percent. Default: 25."
        ),
    }),
    "hyperband": Pruner(optuna="HyperbandPruner", parameters=_HALVING | {
        "max_resource": Parameter(kind=int, low=1, told="rounds of a complete cell. Default: the longest seen."),
        "bootstrap_count": replace(_HALVING["bootstrap_count"], needs="max_resource"),
    }),
    "successive-halving": Pruner(optuna="SuccessiveHalvingPruner", parameters=_HALVING | {
        "min_early_stopping_rate": Parameter(
            kind=int, high=MOST_RUNGS, told="how many of the first rungs are skipped. Default: 0."
        ),
    }),
    "wilcoxon": Pruner(optuna="WilcoxonPruner", takes_estimates=False, parameters={
        "p_threshold": Parameter(kind=float, high=1, told="prune below this p against the best cell. Default: 0.1."),
        "n_startup_steps": Parameter(kind=int, told="rounds before a cell may be pruned. Default: 2."),
    }),
    "patient": Pruner(optuna="PatientPruner", wraps="median", parameters={
        "patience": Parameter(
            kind=int, ours=2, told="rounds without improvement before the wrapped pruner is asked. Default: 2."
        ),
        "min_delta": Parameter(kind=float, told="the smallest improvement that counts. Default: 0."),
    }),
}  # fmt: skip


def parameters_of(name: str) -> dict[str, Parameter]:
    """The parameters of a pruner, those of the one that it holds back included."""
    pruner = PRUNERS[name]
    return {**pruner.parameters, **(parameters_of(pruner.wraps) if pruner.wraps else {})}
