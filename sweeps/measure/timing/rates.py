"""Items over time of rounds whose steps differ, as a training's do: some wait for files or for memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from analysis.contract.autocorrelation import MIN_VALUES, mean_half_width


def rate_over_time(items: Sequence[int], seconds: Sequence[float], confidence: float = 0.95) -> dict[str, float | None]:
    """The throughput columns of the trials table: all items over all seconds, with an interval from round to round.

    The items over the median step say what a training would do if each step were its typical one; what the others take
    is left out, and the rate comes out too high. The interval is that of a ratio of sums (Cochran, Sampling Techniques,
    6.3) by Student's t, its ends None from fewer than two rounds.

    Args:
        items: Items worked through in each round.
        seconds: Measured seconds of each.
        confidence: Of the interval.

    Raises:
        ValueError: Without a round that lasted.
    """
    n, s = np.asarray(items, dtype=float), np.asarray(seconds, dtype=float)
    if len(n) == 0 or len(n) != len(s) or s.sum() <= 0:
        raise ValueError(f"as many items as seconds over 0 are needed, got {len(n)} and {len(s)}")
    rate, low, high = float(n.sum() / s.sum()), None, None
    if len(n) > 1 and rate > 0:
        error = math.sqrt(len(n) / (len(n) - 1) * float(np.sum((s - n / rate) ** 2))) / float(s.sum())
        half = float(special.stdtrit(len(n) - 1, (1 + confidence) / 2)) * error
        if len(n) >= MIN_VALUES:  # rounds resemble those before them
            half = max(half, mean_half_width((s - n / rate) / float(s.mean()), 0.0, confidence))
        reach = math.exp(half)
        low, high = rate / reach, rate * reach
    return {
        "throughput_items_per_s": rate, "throughput_low_items_per_s": low, "throughput_high_items_per_s": high,
    }  # fmt: skip
