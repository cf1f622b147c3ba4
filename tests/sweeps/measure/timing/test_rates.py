"""Items over time, with an interval from round to round."""

from __future__ import annotations

import numpy as np
import pytest

from sweeps.measure.timing.rates import rate_over_time


def test_all_items_over_all_seconds() -> None:
    found = rate_over_time([10, 10, 20], [1.0, 2.0, 1.0])
    assert found["throughput_items_per_s"] == pytest.approx(10.0)


def test_one_round_has_no_interval() -> None:
    assert rate_over_time([10], [2.0]) == {
        "throughput_items_per_s": 5.0, "throughput_low_items_per_s": None, "throughput_high_items_per_s": None,
    }  # fmt: skip


@pytest.mark.parametrize(("items", "seconds"), [([], []), ([1], [0.0]), ([1, 2], [1.0])])
def test_what_has_no_rate_is_refused(items: list[int], seconds: list[float]) -> None:
    with pytest.raises(ValueError, match="seconds"):
        rate_over_time(items, seconds)


def test_the_interval_holds_the_true_rate_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        seconds = 0.1 * rng.lognormal(0.0, 0.2, 12)
        found = rate_over_time([8] * 12, seconds.tolist())
        low, high = found["throughput_low_items_per_s"], found["throughput_high_items_per_s"]
        held += low < 8 / (0.1 * np.exp(0.02)) < high  # type: ignore[operator]
    assert held / 400 > 0.92
