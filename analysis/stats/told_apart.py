"""Whether two figures differ by more than chance: decided here alone, for every sentence that ranks cells."""

from __future__ import annotations

from typing import Literal

from analysis.stats.estimate import Figure

MIN_CHANGE = 0.05
"""The share under which a difference is of no interest, however certain."""

Verdict = Literal["faster", "slower", "same", "unclear"]


def excludes_one(found: Figure) -> bool:
    """Whether a ratio's whole interval lies on one side of 1."""
    return (found.low is not None and found.low > 1) or (found.high is not None and found.high < 1)


def verdict(found: Figure, *, is_certain: bool | None = None, least: float = 0.0, same: float = MIN_CHANGE) -> Verdict:
    """What a ratio of two speeds says: faster or slower where the difference is certain and over ``least``.

    The same where the whole interval lies within ``same`` of 1 (two one-sided tests: D. J. Schuirmann, "A Comparison of
    the Two One-Sided Tests Procedure", Journal of Pharmacokinetics and Biopharmaceutics 15:6, 1987); a ratio without
    interval is unclear, whatever its value. Certain is an interval that leaves out 1, unless a test says so.
    """
    certain = excludes_one(found) if is_certain is None else is_certain
    if found.value is not None and certain and max(found.value, 1 / found.value) > 1 + least:
        return "faster" if found.value > 1 else "slower"
    if found.low is None or found.high is None:
        return "unclear"
    return "same" if found.low >= 1 / (1 + same) and found.high <= 1 + same else "unclear"
