"""The spread between runs: what it is estimated to be, how often its intervals hold, and who may borrow from whom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats.between_runs import UNKNOWN, Runs, pooled
from tests.analysis.stats.made import N_CELLS, made


def test_the_prior_is_that_from_which_the_variances_were_drawn() -> None:
    rng = np.random.default_rng(1)
    variances = 0.0009 * 6 / rng.chisquare(6, 4000)  # Smyth's model: scaled inverse chi-square, d0 = 6
    found = pooled([(np.exp(math.sqrt(v) * rng.standard_normal(4)).tolist(),) for v in variances])
    assert found.prior_freedom == pytest.approx(6, rel=0.15)
    assert found.variance == pytest.approx(0.0009, rel=0.05)
    assert found.n_cells == 4000


def test_cells_of_one_variance_are_pooled_wholly() -> None:
    rng = np.random.default_rng(4)
    found = pooled([(a, b) for a, b in zip(made(rng, 5, 0.03), made(rng, 5, 0.03), strict=True)])
    assert math.isinf(found.prior_freedom)
    assert found.freedom == pytest.approx(N_CELLS * 8, rel=0.1)
    assert found.relative == pytest.approx(0.03, rel=0.25)


def test_cells_that_move_together_count_as_one() -> None:
    cells = made(np.random.default_rng(2), 5, 0.0001, together=0.03)
    assert pooled([(runs,) for runs in cells]).freedom == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("n_runs", [1, 2, 3, 5])
def test_intervals_hold_a_level_and_a_ratio_as_often_as_they_say(n_runs: int) -> None:
    rng = np.random.default_rng(n_runs)
    held = []
    for _ in range(250):
        a, b = made(rng, n_runs, 0.05), made(rng, n_runs, 0.05)
        b[0] = made(rng, 5, 0.05)[0]  # one cell has repeats, from which those run once borrow
        spread = pooled([(x, y) for x, y in zip(a, b, strict=True)])
        level, change = spread.interval(a[3]), spread.ratio(a[5], b[5])
        assert level.low is not None
        assert level.high is not None
        assert change.low is not None
        assert change.high is not None
        held.append(
            (level.low <= math.exp(np.linspace(-6, 0, N_CELLS)[3]) <= level.high, change.low <= 1 <= change.high)
        )
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_one_cell_without_others_has_students_t() -> None:
    a, b = [1.0, 1.04, 0.99, 1.02], [1.1, 1.12, 1.07]
    spread = pooled([(a, b)])
    classic = stats.ttest_ind(np.log(a), np.log(b))
    assert spread.p_value(a, b) == pytest.approx(classic.pvalue)
    low, high = classic.confidence_interval(0.95)
    ratio = spread.ratio(a, b)
    assert (ratio.low, ratio.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_the_smallest_change_is_found_as_often_as_it_says() -> None:
    spread = pooled([(a, b) for a, b in zip(*(made(np.random.default_rng(s), 5, 0.03) for s in (6, 7)), strict=True)])
    change = math.log(spread.smallest_change(5, 5, 0.01))
    error = math.sqrt(spread.variance * 2 / 5)
    quantile = stats.t.ppf(1 - 0.01 / 2, spread.freedom)
    assert stats.nct.sf(quantile, spread.freedom, change / error) == pytest.approx(0.8, abs=0.01)
    assert math.isnan(spread.smallest_change(0, 5, 0.01))


def test_runs_that_agree_in_every_digit_are_taken_for_a_coarse_clock() -> None:
    spread = pooled([([0.1, 0.1, 0.1],)])
    assert spread.relative == pytest.approx(0.001, rel=0.01)
    assert spread.p_value([0.1] * 3, [0.11] * 3) < 0.001


@pytest.mark.parametrize("runs", [[], [3.0], [math.nan, 3.0], [0.0, 3.0]])
def test_without_two_runs_nothing_is_known(runs: Runs) -> None:
    spread = pooled([(runs,)])
    assert spread == UNKNOWN
    assert not spread.is_known
    level = spread.interval(runs)
    assert (level.low, level.high) == (None, None)
    assert level.value == (pytest.approx(3.0) if len(runs) else None)
    assert math.isnan(spread.p_value(runs, runs))
