"""Energy of windows: null when too short, unknown or standing still; otherwise joules per item, and watts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.measure.monitors import energy
from sweeps.measure.monitors.energy import (
    MIN_PERIODS,
    EnergyMonitor,
    energy_figures,
    energy_of_rounds,
    least_window_s,
    measure_idle_power,
    peak_power_w,
    sustained_energy,
)
from sweeps.measure.monitors.energy_sources import EnergySource, open_energy_source
from sweeps.store.schema import TRIALS
from tests.sweeps.measure.conftest import HandTime, OneGpu

FIGURES = ("energy_j", "energy_window_s", "energy_per_item_j", "items_per_j", "mean_power_w", "peak_power_w")


class Counter:
    """A source that draws a steady power while time passes; what it shows follows its own period."""

    name, domain = "a counter", "a domain"

    def __init__(self, clock: HandTime, watts: float, period_s: float) -> None:
        self._clock, self.watts, self.period_s = clock, watts, period_s

    def read_j(self) -> float | None:
        return 7000.0 + self.watts * math.floor(self._clock.now_s / self.period_s + 1e-9) * self.period_s


@pytest.fixture
def hand_time(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    clock = HandTime()
    monkeypatch.setattr(energy, "time", clock)
    return clock


def test_a_window_of_ten_periods_has_its_figures(hand_time: HandTime) -> None:
    with EnergyMonitor(Counter(hand_time, watts=50.0, period_s=0.1)) as monitor:
        hand_time.sleep(4.0)
        columns = monitor.columns(n_items=800)
    assert columns["energy_j"] == pytest.approx(200.0)
    assert columns["energy_window_s"] == pytest.approx(4.0)
    assert columns["energy_per_item_j"] == pytest.approx(0.25)
    assert columns["items_per_j"] == pytest.approx(4.0)
    assert columns["mean_power_w"] == pytest.approx(50.0)
    assert (columns["energy_source"], columns["energy_domain"]) == ("a counter", "a domain")
    assert set(columns) <= set(TRIALS.names)


@pytest.mark.parametrize(("seconds", "known"), [(0.5, False), (0.99, False), (1.01, True)])
def test_a_window_under_ten_periods_is_null_and_not_zero(hand_time: HandTime, seconds: float, known: bool) -> None:
    with EnergyMonitor(Counter(hand_time, watts=50.0, period_s=0.1)) as monitor:
        hand_time.sleep(seconds)
        columns = monitor.columns(n_items=10)
    assert [columns[name] is not None for name in FIGURES] == [known] * len(FIGURES)
    assert columns["energy_source"] == "a counter", "the source is known all the same"


def test_the_rule_of_ten_periods_bounds_the_error_of_any_window(hand_time: HandTime) -> None:
    for offset in (0.0, 0.03, 0.07, 0.09):
        hand_time.now_s = 100 + offset
        with EnergyMonitor(Counter(hand_time, watts=50.0, period_s=0.1)) as monitor:
            hand_time.sleep(1.0)
            assert monitor.columns(1)["energy_j"] == pytest.approx(50.0, rel=0.101)


def test_a_counter_that_stands_still_or_runs_backwards_is_unknown(hand_time: HandTime) -> None:
    for watts in (0.0, -3.0):  # backwards, as when the driver is loaded anew
        with EnergyMonitor(Counter(hand_time, watts=watts, period_s=0.001)) as monitor:
            hand_time.sleep(5.0)
            assert [monitor.columns(5)[name] for name in FIGURES] == [None] * 6


def test_without_a_source_everything_is_null(hand_time: HandTime) -> None:
    with EnergyMonitor(EnergySource()) as monitor:
        hand_time.sleep(1e6)
        assert monitor.read_j() is None
        assert set(monitor.columns(5).values()) == {None}


def test_peak_power_is_that_of_the_busiest_part_of_the_window(gpu: OneGpu, hand_time: HandTime) -> None:
    with EnergyMonitor(open_energy_source(gpu.device)) as monitor:
        for power_mw in (300_000, 650_000, 400_000):
            for _ in range(4):  # of a quarter of the ten periods that a part takes
                hand_time.sleep(0.25)
                gpu.energy_mj += power_mw // 4
                monitor.read_j()
        columns = monitor.columns(n_items=90)
    assert columns["peak_power_w"] == pytest.approx(650.0)
    assert columns["energy_j"] == pytest.approx(1350.0)
    assert columns["mean_power_w"] == pytest.approx(450.0)
    assert columns["energy_per_item_j"] == pytest.approx(15.0)


@given(
    watts=st.lists(st.floats(0, 900), min_size=1, max_size=30), seconds=st.floats(0.01, 3.0), apart=st.booleans(),
)  # fmt: skip
def test_no_peak_is_under_the_mean(watts: list[float], seconds: float, apart: bool) -> None:
    joules, lengths = [w * seconds for w in watts], [seconds] * len(watts)
    peak = peak_power_w(joules, lengths, 0.1, apart=apart)
    if peak is not None:
        assert peak >= sum(joules) / sum(lengths) * (1 - 1e-9)
    else:
        assert sum(lengths) < least_window_s(0.1, len(watts) if apart else 1)


def test_steps_in_one_piece_last_ten_periods_and_begin_with_the_work_under_way(hand_time: HandTime) -> None:
    counter = Counter(hand_time, watts=50.0, period_s=0.1)
    runs: list[int] = []

    def run(n_steps: int) -> None:
        runs.append(n_steps)
        hand_time.sleep(0.03 * n_steps)

    found = sustained_energy(run, counter, step_s=0.03, items_per_step=4, longest_s=1.0)
    assert set(runs) == {3}
    assert 1.0 <= found["energy_window_s"] < 1.1  # type: ignore[operator]
    assert sum(runs) * 0.03 == pytest.approx(found["energy_window_s"] + 0.09), "the first three are not in the window"  # type: ignore[operator]
    assert found["energy_per_item_j"] == pytest.approx(50.0 * 0.03 / 4, rel=0.101)
    began, n_runs = hand_time.now_s, len(runs)
    assert set(sustained_energy(run, counter, step_s=0.03, items_per_step=4, longest_s=0.9).values()) == {None}
    assert set(sustained_energy(run, EnergySource(), step_s=0.03, items_per_step=4, longest_s=9e9).values()) == {None}
    assert (hand_time.now_s, len(runs)) == (began, n_runs), "neither was waited for"


def test_idle_power_is_measured_over_ten_periods_at_least(hand_time: HandTime) -> None:
    began = hand_time.now_s
    assert measure_idle_power(Counter(hand_time, watts=70.0, period_s=0.3), seconds=1.0) == pytest.approx(70.0)
    assert hand_time.now_s - began == pytest.approx(6.0), "a second window shows that the first had settled"
    assert measure_idle_power(Counter(hand_time, watts=70.0, period_s=0.001), seconds=1.0) == pytest.approx(70.0)


def test_idle_power_is_that_of_a_device_that_has_settled(hand_time: HandTime) -> None:
    class Cooling(Counter):
        """Falls from 120 W to 70 W with a time constant of two seconds, as after work."""

        def read_j(self) -> float:
            return 70.0 * self._clock.now_s + 100.0 * (1 - math.exp(-(self._clock.now_s - began) / 2))

    began = hand_time.now_s
    found = measure_idle_power(Cooling(hand_time, watts=0.0, period_s=0.1), seconds=1.0)
    assert found == pytest.approx(70.0, rel=0.05)
    assert hand_time.now_s - began <= 8.0


def test_idle_power_is_not_waited_for_where_the_counter_is_slow_or_missing_or_still(hand_time: HandTime) -> None:
    began = hand_time.now_s
    assert measure_idle_power(Counter(hand_time, watts=70.0, period_s=2.5), seconds=1.0) is None
    assert measure_idle_power(EnergySource(), seconds=1.0) is None
    assert hand_time.now_s == began
    assert measure_idle_power(Counter(hand_time, watts=0.0, period_s=0.1), seconds=1.0) is None


def test_rounds_add_up_without_what_lay_between_them() -> None:
    figures = energy_of_rounds([30.0, 50.0, 40.0], [1.0, 1.5, 1.5], n_items=60, period_s=0.1)
    assert figures["energy_j"] == pytest.approx(120.0)
    assert figures["energy_window_s"] == pytest.approx(4.0)
    assert figures["mean_power_w"] == pytest.approx(30.0)
    assert figures["energy_per_item_j"] == pytest.approx(2.0)
    assert set(figures) == set(FIGURES)


def test_one_unknown_round_makes_the_sum_unknown_rather_than_smaller() -> None:
    assert set(energy_of_rounds([30.0, None, 40.0], [9.0] * 3, 60, 0.1).values()) == {None}
    assert set(energy_of_rounds([], [], 0, 0.1).values()) == {None}


def test_many_short_rounds_must_last_longer_together_than_one_window() -> None:
    # Sixteen ends that fall anywhere within a period err four times as much as one.
    assert least_window_s(0.1) == pytest.approx(1.0)
    assert least_window_s(0.1, 16) == pytest.approx(4.0)
    assert energy_of_rounds([5.0] * 16, [0.2] * 16, 60, 0.1)["energy_j"] is None
    assert energy_of_rounds([5.0] * 16, [0.3] * 16, 60, 0.1)["energy_j"] == pytest.approx(80.0)


def test_rounds_that_just_last_long_enough_err_as_little_as_one_window_that_does() -> None:
    generator, watts, period_s = np.random.default_rng(0), 40.0, 0.1

    def spread(n_rounds: int, total_s: float) -> float:
        """Standard deviation of the energy shown over the true one, for rounds at random moments of the counter."""
        length = total_s / n_rounds
        starts = generator.uniform(0, 100, (4000, n_rounds))
        shown = watts * period_s * (np.floor((starts + length) / period_s) - np.floor(starts / period_s))
        return float((shown.sum(1) / (watts * total_s)).std())

    one = spread(1, least_window_s(period_s) + period_s / 2)  # the worst length: as often rounded up as down
    assert one == pytest.approx(0.05, rel=0.1)
    assert spread(16, least_window_s(period_s, 16)) == pytest.approx(one, rel=0.1)
    assert spread(16, least_window_s(period_s)) > 3 * one, "the rule of one window is not enough for sixteen"


@given(
    joules=st.floats(1e-3, 1e6), window_s=st.floats(1e-3, 1e4), n_items=st.integers(1, 10**6),
    period_s=st.floats(1e-4, 10.0),
)  # fmt: skip
def test_figures_agree_with_each_other_or_are_all_null(
    joules: float, window_s: float, n_items: int, period_s: float
) -> None:
    figures = energy_figures(joules, window_s, n_items, period_s)
    if window_s < MIN_PERIODS * period_s:
        assert set(figures.values()) == {None}
        return
    assert figures["energy_per_item_j"] * n_items == pytest.approx(joules)
    assert figures["items_per_j"] * figures["energy_per_item_j"] == pytest.approx(1.0)
    assert figures["mean_power_w"] * window_s == pytest.approx(joules)


def test_no_items_have_no_energy() -> None:
    assert set(energy_figures(5.0, 100.0, 0, 0.1).values()) == {None}
    assert set(energy_figures(None, 100.0, 5, 0.1).values()) == {None}
