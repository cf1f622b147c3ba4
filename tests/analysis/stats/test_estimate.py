"""A value with its interval: as text with the digits that it supports, and in another unit."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.stats.estimate import Figure, geometric_mean, known, ratio


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (Figure(value=1.4183, low=1.4012, high=1.4391), "1.42 (1.40 to 1.44)"),
        (Figure(value=99.96, low=95.2, high=104.9), "100 (95.2 to 105)"),
        (Figure(value=0.00512, low=0.00507, high=0.00518), "0.00512 (0.00507 to 0.00518)"),
        (Figure(value=3.0), "3.00"),
        (Figure(value=None), "n/a"),
        (Figure(value=3.0, low=2.0), "3.00"),
    ],
)
def test_value_and_interval_have_equally_many_digits(figure: Figure, told: str) -> None:
    assert figure.full_text == told


def test_an_unknown_end_leaves_the_interval_unknown() -> None:
    assert Figure(value=3.0, low=2.0).interval_text == "n/a"
    assert Figure(value=None, low=2.0, high=4.0).interval_text == "n/a"


def test_another_unit_scales_the_ends_too() -> None:
    scaled = Figure(value=0.002, low=0.001, high=None).times(1e3)
    assert (scaled.value, scaled.low, scaled.high) == (2.0, 1.0, None)


@pytest.mark.parametrize("missing", [None, math.nan, np.nan, pd.NA, pd.NaT])
def test_a_null_in_any_of_pandas_ways_is_unknown(missing: object) -> None:
    assert known(missing) is None
    assert known(np.float32(0.5)) == 0.5


def test_what_is_not_positive_has_no_ratio_and_no_mean() -> None:
    assert ratio(Figure(value=0.0), Figure(value=2.0)).value is None
    assert ratio(Figure(value=2.0), Figure(value=-1.0)).value is None
    assert geometric_mean([Figure(value=None)]).value is None
    assert geometric_mean([Figure(value=4.0), Figure(value=None), Figure(value=9.0)]).value == pytest.approx(6.0)
