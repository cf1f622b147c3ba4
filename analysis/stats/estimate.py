"""Ratios of two measured figures with an interval, from the intervals of the figures themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.text import MISSING, is_missing, number, shared_digits


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure and its 95 % interval; None where unknown, whichever way that was said."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            if is_missing(getattr(self, name)):  # NaN would pass for the largest or smallest of several
                object.__setattr__(self, name, None)

    @property
    def logs(self) -> tuple[float, float, float]:
        """Natural logarithms of value, low and high; NaN where unknown or not positive."""
        ends = (self.value, self.low, self.high)
        value, low, high = (math.log(v) if v is not None and v > 0 else math.nan for v in ends)
        return value, low, high

    @property
    def text(self) -> str:
        """The value, as long as any other that a sentence may compare it with."""
        return number(self.value)

    @property
    def interval_text(self) -> str:
        """``1.40 to 1.44``; n/a where unknown."""
        return self.interval_with(digits_of([self]))

    @property
    def full_text(self) -> str:
        """``1.42 (1.40 to 1.44)``; without interval where it is unknown."""
        return self.full_with(digits_of([self]))

    @property
    def factor_text(self) -> str:
        """``1.42x (1.40 to 1.44)``, of a ratio; without interval where it is unknown."""
        digits = digits_of([self])
        told = self.text_with(digits)
        return told if self.value is None else f"{told}x{self.full_with(digits).removeprefix(told)}"

    def text_with(self, digits: int) -> str:
        """The value alone, with so many digits."""
        return number(self.value, digits)

    def interval_with(self, digits: int) -> str:
        """The interval alone, each end with so many digits."""
        if self.value is None or self.low is None or self.high is None:
            return MISSING
        return f"{number(self.low, digits)} to {number(self.high, digits)}"

    def full_with(self, digits: int) -> str:
        """The value with its interval behind it."""
        told = self.text_with(digits)
        return told if self.low is None or self.high is None else f"{told} ({self.interval_with(digits)})"

    def times(self, factor: float) -> Figure:
        """The figure in another unit."""
        value, low, high = (None if v is None else factor * v for v in (self.value, self.low, self.high))
        return Figure(value=value, low=low, high=high)


def digits_of(figures: Iterable[Figure]) -> int:
    """The digits that figures of one column share."""
    return shared_digits((figure.value, figure.low, figure.high) for figure in figures)


def known(value: Any) -> float | None:
    """A number as float; None where it is null in any of pandas' ways."""
    return None if is_missing(value) else float(value)


def of_row(row: Mapping[str, Any], columns: Sequence[str]) -> Figure:
    """A row's value, with its interval where the columns of both ends are named too."""
    value, low, high = (known(row.get(column)) for column in (*columns, "", "")[:3])
    return Figure(value=value, low=low, high=high)


def ratio(over: Figure, under: Figure) -> Figure:
    """The ratio of two figures that were measured apart.

    Its interval takes from the two intervals their distances on the logarithmic scale, the square root of the sum of
    squares (G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27:10, 2008). Unknown where one of the figures is, and its ends where one of theirs is.
    """
    (a, a_low, a_high), (b, b_low, b_high) = over.logs, under.logs
    low = a - b - math.hypot(a - a_low, b_high - b)
    high = a - b + math.hypot(a_high - a, b - b_low)
    value, low, high = (math.exp(v) if not math.isnan(v) else math.nan for v in (a - b, low, high))
    return Figure(value=known(value), low=known(low), high=known(high))


def geometric_mean(figures: Sequence[Figure]) -> Figure:
    """The geometric mean of positive figures measured apart; its interval by the same rule as that of ``ratio``.

    Unknown without figures; its ends are unknown where one figure's are.
    """
    logs = [figure.logs for figure in figures if figure.value is not None]
    if not logs:
        return Figure(value=None)
    mean = sum(value for value, _, _ in logs) / len(logs)
    below = math.sqrt(sum((value - low) ** 2 for value, low, _ in logs)) / len(logs)
    above = math.sqrt(sum((high - value) ** 2 for value, _, high in logs)) / len(logs)
    low, high = (None if math.isnan(d) else math.exp(mean + d) for d in (-below, above))
    return Figure(value=math.exp(mean), low=low, high=high)
