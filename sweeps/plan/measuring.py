"""How each cell of a sweep is measured: rounds, their limits, and what is recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from workloads.base import BadInputError


def check_choice(option: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is none of those allowed, with the option, the value and what is allowed."""
    if value not in allowed:
        raise BadInputError(f"--{option}: {value!r} is not one of {', '.join(allowed)}")


N_VISITS = 3
"""How often --rounds interleaved comes back to a cell."""


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How each cell is measured."""

    min_rounds: int = 5
    min_s: float = 1.0
    max_s: float = 10.0
    precision_target: float = 0.02
    round_s: float = 0.2
    warmup_max_s: float = 10.0
    cooldown_s: float = 0.0
    rounds: str = "consecutive"
    leak_check: bool = False
    autotune_timeout_s: float = 300.0
    """How long the first steps of a cell that is autotuned may take, beside the time that any cell has."""
    profile: bool = False
    """After all else one step of the cell is run under the profiler."""
    record_hostname: bool = False
    n_threads: int | None = None
    """CPU threads of every cell that has no number of its own; None for what its worker takes by default."""
    is_recheck: bool = False
    """Only the speed is asked for: of a training one epoch is measured, and what it learned is not told."""
    n_compared: int = 64
    """Different items whose answers are compared with the reference, whatever the batch size; fewer, but two at least,
    where ``max_s`` does not hold so many answers."""
    report_every_s: float = 1.0
    """Rounds are sent to the driver together at most this often; 0 sends each, which pruning needs."""

    def __post_init__(self) -> None:
        if self.min_rounds < 1:
            raise BadInputError(f"--min-rounds: {self.min_rounds} is not a positive whole number")
        if not 0 < self.min_s <= self.max_s < math.inf:
            raise BadInputError(f"--min-s: {self.min_s} must be over 0 and at most --max-s, {self.max_s}")
        if not 0 < self.precision_target < 1:
            raise BadInputError(f"--precision-target: {self.precision_target} must lie between 0 and 1")
        if not 0 <= self.cooldown_s < math.inf:
            raise BadInputError(f"--cooldown: {self.cooldown_s} s must be finite and not negative")
        if not 0 < self.autotune_timeout_s < math.inf:
            raise BadInputError(f"--autotune-timeout: {self.autotune_timeout_s} s must be over 0 and finite")
        check_choice("rounds", self.rounds, ("consecutive", "interleaved"))

    def per_visit(self) -> MeasureConfig:
        """How each visit to a cell is measured: all of it, or its share where rounds are interleaved."""
        if self.rounds == "consecutive":
            return self
        n_rounds = -(-self.min_rounds // N_VISITS)
        return replace(self, min_rounds=n_rounds, min_s=self.min_s / N_VISITS, max_s=self.max_s / N_VISITS)
