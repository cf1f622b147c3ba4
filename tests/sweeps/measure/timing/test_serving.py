"""Several workers at one queue: the model against queueing theory, and threads that really serve."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

from sweeps.measure.timing.queue_model import QueueModel, latencies_of_several, services_of
from sweeps.measure.timing.server_load import poisson_arrivals
from sweeps.measure.timing.serving import run_servers

SERVICE = 0.01


def erlang_c(n: int, load: float) -> float:
    """Share of requests of an M/M/n queue that wait at all (Kleinrock, Queueing Systems I, 3.5)."""
    offered = n * load
    last = offered**n / math.factorial(n) / (1 - load)
    return last / (sum(offered**k / math.factorial(k) for k in range(n)) + last)


@pytest.mark.parametrize(("n", "load"), [(2, 0.5), (2, 0.8), (4, 0.7)])
def test_waiting_times_are_those_of_an_m_m_n_queue(n: int, load: float) -> None:
    generator = np.random.default_rng(4)
    gaps = generator.standard_exponential((8, 30_000)) * SERVICE / (n * load)
    services = generator.standard_exponential((8, 30_000)) * SERVICE
    waits = (latencies_of_several(gaps, services, n) - services)[:, 3_000:]
    expected = erlang_c(n, load) * SERVICE / (n * (1 - load))
    assert waits.mean() == pytest.approx(expected, rel=0.06)
    assert (waits > 1e-12).mean() == pytest.approx(erlang_c(n, load), abs=0.02)


def test_two_workers_hold_more_than_twice_the_rate_of_one() -> None:
    services = np.full(700, SERVICE)
    one, two = (QueueModel(services, 0, n).highest_rate(3 * SERVICE) for n in (1, 2))
    assert one is not None
    assert two is not None
    assert 2 * one < two < 2 / SERVICE, "who is free first takes the next: neither waits while the other idles"


def test_each_request_is_served_once_by_whoever_is_free() -> None:
    served: list[int] = []
    lock = threading.Lock()

    def worker(number: int):
        def serve() -> None:
            time.sleep(0.002)
            with lock:
                served.append(number)

        return serve

    arrivals = poisson_arrivals(800, 200, seed=1)
    result = run_servers([worker(0), worker(1)], arrivals, deadline_s=10.0)
    assert len(served) == result.n_requests == 200
    assert set(served) == {0, 1}
    assert (result.latency_s >= 0.002).all()
    assert (result.n_servers, result.n_missed) == (2, 0)
    assert (result.queue >= 0).all()
    services = services_of(result)
    assert (services >= 0.0019).all()
    assert result.duration_s >= arrivals[-1]


def test_a_worker_that_fails_ends_it() -> None:
    def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_servers([lambda: None, fail], poisson_arrivals(2000, 300, seed=0))
    with pytest.raises(ValueError, match="are needed"):
        run_servers([], np.array([1.0]))
