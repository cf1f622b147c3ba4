"""All cells of two sides together: runs are what varies, and a run that lacks a cell shifts nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats.common_shift import common_shift
from tests.analysis.stats.made import made


def test_a_shift_of_all_cells_is_judged_by_runs_not_by_cells() -> None:
    rng = np.random.default_rng(3)
    a, b = made(rng, 5, 0.001, together=0.03), made(rng, 4, 0.001, together=0.03)
    by_run = stats.ttest_ind(np.log(a).mean(axis=0), np.log(b).mean(axis=0))
    found = common_shift(a, b)
    assert found.p == pytest.approx(by_run.pvalue)
    assert found.ratio.value == pytest.approx(math.exp(np.log(a).mean() - np.log(b).mean()))
    assert math.isnan(common_shift(a, [runs[:1] for runs in b]).p)
    with pytest.raises(ValueError, match="the same cells"):
        common_shift(a, b[:3])


def test_a_run_that_lacks_a_cell_does_not_shift_the_others() -> None:
    rng = np.random.default_rng(5)
    a, b = made(rng, 4, 0.01), made(rng, 4, 0.01)
    a[0] = [
        *a[0][:2],
        math.nan,
        a[0][3],
    ]  # the slowest or fastest cell missing would move a plain mean of the run by half
    found = common_shift(a, b)
    assert found.ratio.low is not None
    assert found.ratio.low > 0.97


def test_runs_that_agree_in_every_digit_are_taken_for_a_coarse_clock() -> None:
    assert common_shift([[0.1] * 3] * 2, [[0.11] * 3] * 2).p < 0.001
