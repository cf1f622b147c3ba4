"""The open-loop server against queueing theory, in virtual time."""

from __future__ import annotations

import numpy as np
import pytest

from sweeps.measure.load import WallClock, find_max_rate, poisson_arrivals, run_server


class VirtualClock:
    """Time that passes only when somebody waits or works."""

    def __init__(self) -> None:
        self.time = 5.0

    def now(self) -> float:
        return self.time

    def wait_until(self, moment: float) -> None:
        self.time = max(self.time, moment)

    def work(self, seconds: float) -> None:
        self.time += seconds


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
def test_waiting_times_are_those_of_an_m_d_1_queue(load: float) -> None:
    service = 0.01
    clock = VirtualClock()
    arrivals = poisson_arrivals(load / service, 200_000, seed=1)
    result = run_server(lambda: clock.work(service), arrivals, clock=clock)
    waited = result.latency_s.mean() - service
    expected = load * service / (2 * (1 - load))  # Pollaczek and Khinchine, for a service without variance
    assert waited == pytest.approx(expected, rel=0.05)
    assert result.busy_s / result.duration_s == pytest.approx(load, rel=0.02)
    # Little's law: those waiting, seen by Poisson arrivals, are the arrival rate times the waiting time.
    assert result.queue.mean() == pytest.approx(load / service * waited, rel=0.05)
    assert np.abs(result.late_s).max() < 1e-9


def test_a_stall_counts_for_everyone_behind_it() -> None:
    clock = VirtualClock()
    services = iter([1.0] + [0.001] * 99)
    result = run_server(lambda: clock.work(next(services)), np.arange(100) * 0.01, clock=clock, deadline_s=0.5)
    assert result.n_missed == pytest.approx(55, abs=3), "not one, as a clock that starts at the send would say"
    assert result.queue.max() > 90


def test_a_full_queue_drops_and_every_request_is_counted() -> None:
    clock = VirtualClock()
    arrivals = poisson_arrivals(200, 5_000, seed=0)  # twice what can be served
    result = run_server(lambda: clock.work(0.01), arrivals, clock=clock, queue_limit=4)
    assert len(result.latency_s) + result.n_dropped == result.n_requests == 5_000
    assert result.n_dropped / 5_000 == pytest.approx(0.5, abs=0.05)
    assert result.latency_s.max() <= 0.01 * 5 + 1e-9, "four waiting before it and one in service"
    assert result.queue.max() <= 4


def test_the_highest_rate_that_holds_a_limit_is_found() -> None:
    service, limit = 0.01, 0.05

    def serve_at(rate: float):
        clock = VirtualClock()
        return run_server(lambda: clock.work(service), poisson_arrivals(rate, 20_000, seed=3), clock=clock)

    found = find_max_rate(serve_at, service, limit, steps=10)
    assert found.rate_per_s is not None
    assert np.quantile(serve_at(found.rate_per_s).latency_s, 0.99) <= limit
    assert np.quantile(serve_at(found.rate_per_s * 1.05).latency_s, 0.99) > limit
    assert find_max_rate(serve_at, service, 0.005).rate_per_s is None, "shorter than one service"


def test_percentiles_are_null_from_too_few_requests() -> None:
    clock = VirtualClock()
    columns = run_server(lambda: clock.work(0.01), poisson_arrivals(10, 100, seed=0), clock=clock).columns(0.1, 4)
    assert columns["latency_p99_s"] is None
    assert columns["latency_p90_s"] is not None
    assert columns["throughput_items_per_s"] == pytest.approx(4 * columns["completed_rate_per_s"])


def test_the_wall_clock_waits_as_long_as_it_must() -> None:
    clock = WallClock()
    moment = clock.now() + 0.01
    clock.wait_until(moment)
    assert clock.now() >= moment
    result = run_server(lambda: None, np.array([0.0, 0.005, 0.01]), clock=clock)
    assert result.duration_s >= 0.01


def test_arrivals_are_the_same_for_a_seed_and_have_the_rate() -> None:
    arrivals = poisson_arrivals(50, 20_000, seed=2)
    assert np.array_equal(arrivals, poisson_arrivals(50, 20_000, seed=2))
    assert 20_000 / arrivals[-1] == pytest.approx(50, rel=0.03)
    with pytest.raises(ValueError, match="rate_per_s=0"):
        poisson_arrivals(0, 5, seed=0)
