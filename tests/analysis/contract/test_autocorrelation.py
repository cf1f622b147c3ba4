"""Means and trends of values that resemble their neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.contract.autocorrelation import mean_half_width, trend_p_value


def test_many_independent_values_have_nearly_students_interval() -> None:
    values = np.random.default_rng(0).standard_normal(400)
    student = float(stats.t.ppf(0.975, 399)) * values.std(ddof=1) / 20
    assert student * 0.9 <= mean_half_width(values, values.mean()) <= student * 1.3


def test_values_that_resemble_their_neighbours_have_a_wider_one_than_the_same_values_shuffled() -> None:
    generator = np.random.default_rng(1)
    walk = np.cumsum(generator.standard_normal(30))
    assert mean_half_width(walk, walk.mean()) > 2 * mean_half_width(generator.permutation(walk), walk.mean())


def test_a_centre_beside_the_mean_is_within_the_interval_around_it() -> None:
    values = 10 + 0.01 * np.random.default_rng(2).standard_normal(50)
    assert mean_half_width(values, 9.0) > 1.0


def test_a_scale_changes_nothing() -> None:
    values = np.random.default_rng(3).standard_normal(20)
    assert mean_half_width(1e-9 * values, 0.0) == pytest.approx(1e-9 * mean_half_width(values, 0.0), rel=1e-3)
    assert trend_p_value(1e-9 * values) == pytest.approx(trend_p_value(values))


def test_constant_values_have_no_width_and_no_trend() -> None:
    assert mean_half_width(np.full(9, 2.0), 2.0) == 0.0
    assert mean_half_width(np.full(9, 2.0), 1.5) == 0.5
    assert trend_p_value(np.full(9, 2.0)) == 1.0


def test_a_straight_rise_is_a_trend_and_noise_is_none() -> None:
    noise = np.random.default_rng(4).standard_normal(20)
    assert trend_p_value(np.arange(20.0)) < 1e-6
    assert trend_p_value(np.arange(20.0) + noise) < 0.01
    assert trend_p_value(noise) > 0.05


@pytest.mark.parametrize("judge", [lambda v: mean_half_width(v, 0.0), trend_p_value])
def test_too_few_values_are_refused(judge) -> None:
    with pytest.raises(ValueError, match="at least 5 values are needed, got 4"):
        judge(np.arange(4.0))
