"""The rate that is told holds, in virtual time against queueing theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from sweeps.measure.timing.queue_model import QueueModel, latencies, services_of
from sweeps.measure.timing.rate_search import MAX_SEARCH_S, find_max_rate, judged
from sweeps.measure.timing.server_load import ServerResult, poisson_arrivals
from sweeps.measure.timing.serving import run_server
from tests.sweeps.measure.timing.virtual import SERVICE, VirtualClock, waiting_share

LIMIT = 6 * SERVICE
"""In seconds; of it one service is no waiting."""


def exact_rate() -> float:
    """The rate at which the p99 of an M/D/1 queue is the limit."""
    load = optimize.brentq(lambda load: waiting_share(LIMIT - SERVICE, load) - 0.99, 0.1, 0.95)
    return float(load) / SERVICE


def worker(*, service_s: float = SERVICE, stall_s: float = 0.0, seed: int = 0):
    """Serves in virtual time; one request in a hundred stalls."""
    clock, generator = VirtualClock(), np.random.default_rng(seed)

    def work() -> None:
        clock.work(service_s + (stall_s if generator.random() < 0.01 else 0.0))

    return lambda arrivals: run_server(work, arrivals, clock=clock)


def test_the_rate_told_is_near_the_one_of_theory_and_never_over_it() -> None:
    exact = exact_rate()
    for seed in range(2):
        found = find_max_rate(worker(), SERVICE, LIMIT, seed=seed)
        assert found is not None
        assert found.best is not None
        assert 0.9 * exact <= found.best.rate_per_s <= exact
        assert found.shown is found.best
        assert found.best.p99_s <= LIMIT
        assert found.best.p99_high_s <= LIMIT


def test_a_rate_is_confirmed_by_arrivals_that_it_was_not_chosen_by_and_time_is_bounded() -> None:
    asked: list[np.ndarray] = []
    serve = worker()

    def noting(arrivals: np.ndarray) -> ServerResult:
        asked.append(arrivals)
        return serve(arrivals)

    found = find_max_rate(noting, SERVICE, LIMIT)
    assert found is not None
    assert len(found.tried) == len(asked) >= 2
    gaps = [np.diff(arrivals)[:600] / arrivals[-1] * len(arrivals) for arrivals in asked]
    assert not np.allclose(gaps[-1], gaps[-2])
    assert sum(one.result.duration_s for one in found.tried) < 1.1 * MAX_SEARCH_S


def test_stalls_that_the_warm_up_did_not_show_lower_the_rate() -> None:
    plain, stalling = (find_max_rate(worker(stall_s=s), SERVICE, LIMIT) for s in (0.0, 0.02))
    assert plain is not None
    assert stalling is not None
    assert stalling.best.rate_per_s < 0.8 * plain.best.rate_per_s  # type: ignore[union-attr]


@pytest.mark.parametrize("disturbed", [0, 1])
def test_no_rate_is_told_that_is_not_below_all_that_failed(disturbed: int) -> None:
    """As on a machine on which other work ran during one of the runs."""
    runs: list[ServerResult] = []
    calm, slow = worker(), worker(stall_s=0.2)

    def serve(arrivals: np.ndarray) -> ServerResult:
        runs.append((slow if len(runs) == disturbed else calm)(arrivals))
        return runs[-1]

    found = find_max_rate(serve, SERVICE, LIMIT)
    assert found is not None
    failed = [one.rate_per_s for one in found.tried if not one.held]
    assert failed
    assert found.best is None or found.best.rate_per_s < min(failed)
    for i, one in enumerate(found.tried):
        before = [other.rate_per_s for other in found.tried[:i] if not other.held]
        assert one.rate_per_s < min(before, default=np.inf)


def test_no_rate_is_told_where_one_service_takes_longer_than_the_limit() -> None:
    found = find_max_rate(worker(), SERVICE, 0.5 * SERVICE)
    assert found is not None
    assert found.best is None
    assert found.shown.rate_per_s == min(tried.rate_per_s for tried in found.tried)
    assert find_max_rate(worker(service_s=1.0), 1.0, 5.0) is None, "662 requests take too long"


def test_a_limit_hardly_over_a_service_is_held_by_a_worker_that_is_nearly_idle() -> None:
    found = find_max_rate(worker(), SERVICE, 1.4 * SERVICE)
    assert found is not None
    assert found.best is not None
    assert found.best.rate_per_s * SERVICE < 0.05
    assert found.best.p99_s is None, "too few requests come in the time there is"


def test_services_are_told_from_when_requests_were_to_begin_and_ended() -> None:
    result = worker()(poisson_arrivals(90, 1000, seed=0))
    assert services_of(result) == pytest.approx(SERVICE)
    gaps = np.diff(result.scheduled_s, prepend=0.0)
    assert latencies(gaps, services_of(result)) == pytest.approx(result.latency_s)


def test_the_bound_is_over_the_true_p99_and_not_far() -> None:
    model, exact = QueueModel(np.full(700, SERVICE), seed=3), exact_rate()
    assert LIMIT < model.p99_high_s(exact) < 1.3 * LIMIT
    assert model.p99_high_s(0.5 * exact) < model.p99_high_s(0.9 * exact)


def test_a_run_at_a_rate_that_was_asked_for_is_judged_by_its_own_services() -> None:
    result = worker()(poisson_arrivals(50, 700, seed=0))
    assert judged(50, result, None, 0).held is None
    assert judged(50, result, LIMIT, 0).held
    assert not judged(50, result, 1.1 * SERVICE, 0).held
