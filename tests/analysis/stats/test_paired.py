"""The mean of paired ratios: its interval covers what it should, and it knows of the next run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.stats.estimate import Figure
from analysis.stats.paired import contrast, mean_ratio


def figures(logs: object) -> list[Figure]:
    return [Figure(value=math.exp(x)) for x in logs]  # type: ignore[attr-defined]


def test_of_few_pairs_the_interval_is_that_of_their_measurements() -> None:
    one = Figure(value=2.0, low=1.9, high=2.1)
    assert mean_ratio([one]) == Figure(value=pytest.approx(2.0), low=pytest.approx(1.9), high=pytest.approx(2.1))
    two = mean_ratio([one, Figure(value=0.5, low=0.4, high=0.6)])
    assert (two.value, mean_ratio([]).value) == (pytest.approx(1.0), None)
    assert two.low is not None and two.low > 0.85, "nothing of how far the two differ"  # noqa: PT018


def test_the_interval_over_pairs_holds_the_mean_of_all_settings_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        found = mean_ratio(figures(generator.normal(0.3, 0.5, 8)))
        held += found.low <= math.exp(0.3) <= found.high  # type: ignore[operator]
    assert 0.92 < held / 400 < 0.98


def test_what_all_pairs_of_a_run_share_widens_it_and_no_number_of_pairs_narrows_it() -> None:
    generator = np.random.default_rng(1)
    held, alone, n = 0, 0, 300
    for _ in range(n):
        shared = generator.normal(0.0, 0.1, 3)  # of a run: all pairs of it are off by this
        pairs = 0.2 + shared + generator.normal(0, 0.01, (30, 3))
        over, under = np.exp(pairs).tolist(), np.ones((30, 3)).tolist()
        ratios = figures(pairs.mean(axis=1))
        knowing, blind = mean_ratio(ratios, list(zip(over, under, strict=True))), mean_ratio(ratios)
        held += knowing.low <= math.exp(0.2) <= knowing.high  # type: ignore[operator]
        alone += blind.low <= math.exp(0.2) <= blind.high  # type: ignore[operator]
    assert held / n > 0.9
    assert alone / n < 0.3, "pairs alone say nothing of the next run"


def test_a_contrast_needs_four_ratios_for_an_interval() -> None:
    found, p = contrast([2.0], [1.0, 1.0])
    assert (found.value, found.low) == (pytest.approx(2.0), None)
    assert math.isnan(p)
    found, p = contrast([2.0, 2.2], [1.0, 1.1, 0.9])
    assert found.low is not None
    assert found.low > 1.5
    assert p < 0.01
