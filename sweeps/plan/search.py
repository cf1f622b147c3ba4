"""How a sweep chooses its cells and gives them up: what is judged, by which pruner or sampler, within which limits.

Free of Optuna, so that bad usage is told before its import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.contract.objectives import OBJECTIVES, PRUNE_ON
from analysis.contract.pruners import PRUNERS, parameters_of
from sweeps.plan.measuring import check_choice
from workloads.base import BadInputError

SAMPLERS = {"tpe": "TPESampler", "gp": "GPSampler", "nsga2": "NSGAIISampler", "random": "RandomSampler"}
"""Optuna's class of each sampler."""
SCALES = ("linear", "log", "log2")
WRAPPED = "wrapped_pruner"
"""Parameter of a pruner that holds another one back: which."""


@dataclass(frozen=True, kw_only=True)
class PruningConfig:
    """Which pruner judges which figure, with its parameters by Optuna's names."""

    pruner: str = "none"
    prune_on: str = "throughput"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    margin: float = 0.0
    """Cells within this share of the best's figure are measured to their end."""

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1:
            raise BadInputError(f"--prune-margin: {self.margin:g} must be at least 0 and less than 1, such as 0.05")
        check_choice("pruner", self.pruner, tuple(PRUNERS))
        check_choice("prune-on", self.prune_on, PRUNE_ON)
        known, wraps = parameters_of(self.pruner), PRUNERS[self.pruner].wraps
        names = [*known, *([WRAPPED] if wraps else [])]
        for name, value in self.parameters.items():
            option = name.replace("_", "-")
            if name not in names:
                allowed = ", ".join("--" + p.replace("_", "-") for p in names) or "none"
                raise BadInputError(f"--{option}: --pruner {self.pruner} has {allowed}")
            if name == WRAPPED:
                check_choice(option, value, (str(wraps),))
            elif (refusal := known[name].refusal(value, self.parameters)) is not None:
                raise BadInputError(f"--{option}: {refusal}")

    @property
    def takes_estimates(self) -> bool:
        """The pruner compares estimates so far, not single rounds."""
        return PRUNERS[self.pruner].takes_estimates


@dataclass(frozen=True, kw_only=True)
class Range:
    """A range of an axis, ends included, for a search."""

    low: float
    high: float
    scale: str = "linear"

    def __post_init__(self) -> None:
        told = f"range {self.low:g}:{self.high:g}"
        if not self.low < self.high:
            raise BadInputError(f"{told}: the first end must be below the second")
        if self.scale not in SCALES:
            raise BadInputError(f"{told}: scale {self.scale!r} is not one of {', '.join(SCALES)}")
        if self.scale != "linear" and self.low <= 0:
            raise BadInputError(f"{told}: a {self.scale} scale starts above 0")

    @property
    def is_whole(self) -> bool:
        """Both ends are whole numbers, and so is every value between them that is tried."""
        return isinstance(self.low, int) and isinstance(self.high, int)


LARGEST_END = 1e18
_NUMBER = r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::(\w+))?")


def parse_range(text: str) -> Range | None:
    """``1:1024:log2`` as a range; None if the text is none, BadInputError if its ends or its scale are wrong."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    if any(abs(float(end)) > LARGEST_END for end in match.group(1, 2)):
        raise BadInputError(f"range: an end is over {LARGEST_END:g}")
    low, high = (int(t) if re.fullmatch(r"[+-]?\d+", t) else float(t) for t in match.group(1, 2))
    return Range(low=low, high=high, scale=match[3] or "linear")


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """A search in place of the whole grid."""

    sampler: str
    n_trials: int
    objectives: tuple[str, ...] = ("throughput",)
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("search", self.sampler, tuple(SAMPLERS))
        if self.n_trials < 1:
            raise BadInputError(f"--trials: {self.n_trials} is not a positive whole number")
        for name in self.objectives:
            check_choice("objective", name, tuple(OBJECTIVES))
        if len(set(self.objectives)) < len(self.objectives) or not self.objectives:
            raise BadInputError(
                f"--objective: {list(self.objectives)} must name at least one figure, and each only once"
            )
