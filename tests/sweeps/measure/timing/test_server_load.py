"""The open-loop server against queueing theory, in virtual time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from sweeps.measure.timing.server_load import ServerResult, WallClock, poisson_arrivals
from sweeps.measure.timing.serving import run_server
from tests.sweeps.measure.timing.virtual import SERVICE, VirtualClock, waiting_share


def queue_at(load: float, services=None, *, n: int = 100_000, seed: int = 1) -> ServerResult:
    """Poisson arrivals that keep the server busy for the given share of the time; services of a fixed length, or drawn."""
    clock = VirtualClock()
    lengths = None if services is None else iter(services)
    arrivals = poisson_arrivals(load / SERVICE, n, seed=seed)
    return run_server(lambda: clock.work(SERVICE if lengths is None else next(lengths)), arrivals, clock=clock)


def mean_with_error(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error by the means of fifty batches, as neighbours in a queue wait alike."""
    batches = np.array([batch.mean() for batch in np.array_split(values, 50)])
    return float(values.mean()), float(batches.std(ddof=1) / np.sqrt(len(batches)))


def pollaczek_khinchine_s(load: float, squared_variation: float = 0.0) -> float:
    """Mean waiting time of an M/G/1 queue (Kleinrock, Queueing Systems I, 5.6); 0 for a service without variance."""
    return load * SERVICE * (1 + squared_variation) / (2 * (1 - load))


@pytest.mark.parametrize("load", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9])
def test_waiting_times_are_those_of_an_m_d_1_queue(load: float) -> None:
    result = queue_at(load, n=100_000 if load in {0.1, 0.9} else 50_000)  # of few that wait, or that wait long
    waited, error = mean_with_error(result.latency_s - SERVICE)
    expected = pollaczek_khinchine_s(load)
    assert error < 0.05 * expected, "or the comparison would not mean much"
    assert abs(waited - expected) < 3 * error
    assert result.busy_s / result.duration_s == pytest.approx(load, rel=0.02)
    # Little's law: those waiting, seen by Poisson arrivals, are the arrival rate times the waiting time.
    assert result.queue.mean() == pytest.approx(load / SERVICE * waited, rel=0.03)
    # An arrival finds the server idle as often as it is idle (PASTA).
    assert (result.latency_s < SERVICE * (1 + 1e-9)).mean() == pytest.approx(1 - load, abs=0.01)
    assert np.abs(result.late_s).max() < 1e-9


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_not_only_the_mean_but_every_percentile_is_that_of_an_m_d_1_queue(load: float) -> None:
    waits = queue_at(load, n=200_000, seed=7).latency_s - SERVICE
    for share in (0.6, 0.9, 0.95, 0.99, 0.999):
        exact = optimize.brentq(lambda wait, s=share: waiting_share(wait, load) - s, 0, 20 * SERVICE)
        assert np.quantile(waits, share) == pytest.approx(exact, rel=0.07, abs=0.02 * SERVICE)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_services_that_vary_make_requests_wait_longer_by_as_much_as_theory_says(load: float) -> None:
    generator, n = np.random.default_rng(5), 100_000 if load == 0.8 else 50_000
    # As often as not half as long again or half as long: squared variation 1/4. Exponential: 1, an M/M/1 queue.
    for services, variation in (
        (generator.choice([0.5, 1.5], n) * SERVICE, 0.25),
        (generator.exponential(SERVICE, n), 1.0),
    ):
        result = queue_at(load, services, n=n, seed=11)
        waited, error = mean_with_error(result.latency_s - services)
        expected = pollaczek_khinchine_s(load, variation)
        assert error < 0.06 * expected
        assert abs(waited - expected) < 3 * error
        assert abs(waited - pollaczek_khinchine_s(load)) > 3 * error, "and not that of a fixed service"


def test_evenly_spaced_arrivals_do_not_wait_at_all() -> None:
    # The same rate without chance: what makes requests wait in the tests above is the Poisson process.
    clock = VirtualClock()
    result = run_server(lambda: clock.work(SERVICE), np.arange(1000) * SERVICE / 0.9, clock=clock)
    assert result.latency_s == pytest.approx(SERVICE)
    assert result.queue.max() == 0


def test_a_stall_counts_for_everyone_behind_it() -> None:
    clock = VirtualClock()
    services = iter([1.0] + [0.001] * 99)
    result = run_server(lambda: clock.work(next(services)), np.arange(100) * 0.01, clock=clock, deadline_s=0.5)
    assert result.n_missed == pytest.approx(55, abs=3), "not one, as a clock that starts at the send would say"
    assert result.queue.max() > 90


def test_an_overloaded_queue_turns_nobody_away_and_every_request_is_counted() -> None:
    clock = VirtualClock()
    arrivals = poisson_arrivals(200, 5_000, seed=0)  # twice what can be served
    result = run_server(lambda: clock.work(0.01), arrivals, clock=clock)
    assert len(result.latency_s) == result.n_requests == 5_000
    assert result.queue.max() > 2_000
    columns = result.columns(None, 1)
    assert columns["n_dropped"] == 0
    assert columns["completed_rate_per_s"] == pytest.approx(100, rel=0.01)


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
    assert 20_000 / arrivals[-1] == pytest.approx(50), "not by chance a few per cent more or less"
    assert not np.array_equal(arrivals, poisson_arrivals(50, 20_000, seed=(2, 1)))
    gaps = np.diff(arrivals)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03), "exponential"
    with pytest.raises(ValueError, match="rate_per_s=0"):
        poisson_arrivals(0, 5, seed=0)
