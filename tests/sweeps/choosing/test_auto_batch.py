from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.choosing.auto_batch import AutoBatch, BatchSearch
from sweeps.choosing.chooser import WAIT
from sweeps.plan.config import TrialConfig

SEED = TrialConfig(workload="inference", device="cpu", batch_size=1)


def run(search: BatchSearch, rate: Any, fits: int) -> list[int]:
    tried = []
    while (size := search.next_size) is not None:
        tried.append(size)
        status = "complete" if size <= fits else "oom"
        search.tell({"batch_size": size, "status": status, "throughput_items_per_s": rate(size), "step_median_s": 0.01})
    return tried


def test_it_doubles_until_two_doublings_gain_nothing() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=False)
    assert run(search, lambda n: min(n, 8), fits=10**6) == [1, 2, 4, 8, 16, 32]
    assert search.roles() == {1: "probe", 2: "probe", 4: "probe", 8: "fastest", 16: "probe", 32: "largest"}


def test_one_doubling_without_gain_does_not_end_it() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=False)
    rates = {1: 10.0, 2: 10.1, 4: 20.0, 8: 20.1, 16: 20.2}
    assert run(search, lambda n: rates[n], fits=10**6) == [1, 2, 4, 8, 16]


@given(fits=st.integers(1, 5000), goes_on=st.booleans())
def test_out_of_memory_is_bisected_to_the_largest_that_fits(fits: int, goes_on: bool) -> None:
    search = BatchSearch(SEED, goes_on_to_memory=goes_on)
    tried = run(search, float, fits)
    (largest,) = [size for size, role in search.roles().items() if "largest" in role]
    assert largest <= fits
    assert fits - largest <= max(1, largest // 64), "as fine as bisection goes"
    assert len(tried) == len(set(tried)) < 30


def test_an_accelerator_goes_on_to_its_memory_past_the_gains() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=True)
    run(search, lambda n: min(n, 4), fits=100)
    assert search.roles()[4] == "fastest"
    assert max(search.roles()) == 100


def told(size: int, share: float, **more: object) -> dict[str, object]:
    """The row of a size that took a share of the recommended memory."""
    peaks = {"device_peak_allocated_bytes": int(share * 0.9 * 2**30), "device_peak_reserved_bytes": int(share * 2**30)}
    return {"batch_size": size, "status": "complete", "throughput_items_per_s": float(size), "step_median_s": 0.01,
            "device_recommended_max_bytes": 2**30, **peaks, **more}  # fmt: skip


@given(each=st.floats(1e-4, 0.3), fixed=st.floats(0.0, 0.6), curve=st.floats(0.9, 1.0))
def test_shared_memory_is_filled_to_what_is_recommended_and_no_further(each: float, fixed: float, curve: float) -> None:
    search, tried = BatchSearch(SEED, goes_on_to_memory=True), {}
    while (size := search.next_size) is not None:
        tried[size] = fixed + each * size**curve
        search.tell(told(size, tried[size], static_bytes=int(fixed * 2**30)))
    assert max(tried.values()) <= max(1.02, fixed + each), "nothing was run that would have made the machine swap"
    (largest,) = [size for size, role in search.roles().items() if "largest" in role] or [0]
    assert largest == 0 or tried[largest] <= 1
    first_over = next(size for size in range(1, 2**20) if fixed + each * size**curve > 1)
    assert first_over - 1 - largest <= max(2, first_over // 24), "as fine as bisection goes"
    assert len(tried) < 40


def test_a_size_over_what_is_recommended_is_not_the_largest_though_it_ran() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=True)
    for size, share in ((1, 0.2), (2, 0.3), (4, 1.4)):
        assert search.next_size == size
        search.tell(told(size, share))
    assert search.next_size == 3
    search.tell(told(3, 0.5))
    assert search.next_size is None
    assert search.roles() == {1: "probe", 2: "probe", 3: "fastest and largest"}


def test_a_device_that_recommends_nothing_is_filled_to_its_end() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=True)
    search.tell(told(1, 1.5, device_recommended_max_bytes=None))
    assert search.next_size == 2


@pytest.mark.parametrize("status", ["unsupported", "error", "crashed", "timeout"])
def test_another_failure_ends_the_search_of_that_cell(status: str) -> None:
    search = BatchSearch(SEED, goes_on_to_memory=True)
    search.tell({"batch_size": 1, "status": status})
    assert search.next_size is None
    assert search.roles() == {}


def test_a_size_too_small_to_mean_anything_is_doubled() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=True)
    too_small = {"status": "unsupported", "error_type": "BatchTooSmallError"}
    search.tell({"batch_size": 1, **too_small})
    assert run(search, float, fits=6) == [2, 4, 8, 6, 7]
    assert search.roles()[6] == "fastest and largest"
    none_left = BatchSearch(SEED, goes_on_to_memory=True)
    none_left.tell({"batch_size": 1, **too_small})
    assert run(none_left, float, fits=1) == [2], "what was too small is not tried again"
    endless = BatchSearch(SEED, goes_on_to_memory=True)
    while (size := endless.next_size) is not None:
        endless.tell({"batch_size": size, **too_small})


def test_a_size_over_what_there_is_to_train_on_ends_the_search_and_keeps_what_ran() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=True)
    while (size := search.next_size) is not None:
        told = {"status": "unsupported"} if size > 1437 else {"status": "complete", "throughput_items_per_s": size}
        search.tell({"batch_size": size, **told})
    assert search.roles()[1024] == "fastest and largest"
    assert max(search.roles()) == 1024


def test_nothing_fits() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=True)
    assert run(search, float, fits=0) == [1]
    assert search.roles() == {}


def test_it_waits_for_a_running_size_and_continues_from_recorded_rows() -> None:
    auto = AutoBatch([SEED], [])
    first = auto.next_cell()
    assert isinstance(first, TrialConfig)
    assert auto.next_cell() is WAIT
    row = {"trial_key": first.key, "batch_size": 1, "status": "complete", "throughput_items_per_s": 1.0}
    auto.recorded(first, row, [])
    second = auto.next_cell()
    assert isinstance(second, TrialConfig)
    assert second.batch_size == 2
    resumed = AutoBatch([SEED], [row])
    assert resumed.next_cell() == second, "a resumed search measures no size twice"
    # What a budget cut off was told as found.
    assert resumed.summary() == ["batch size of cpu fp32: fastest and largest 1 so far; the search has not finished"]
    assert AutoBatch([SEED], []).summary() == ["batch size of cpu fp32: none so far; the search has not finished"]
    ended = AutoBatch([SEED], [row, {**row, "trial_key": second.key, "batch_size": 2, "status": "error"}])
    assert ended.next_cell() is None
    assert ended.summary() == ["batch size of cpu fp32: fastest and largest 1"]


def test_a_rate_of_nan_is_none_and_never_the_fastest() -> None:
    search = BatchSearch(SEED, goes_on_to_memory=False)
    rates = {1: math.nan, 2: 10.0, 4: math.nan, 8: 5.0}
    assert run(search, lambda n: rates[n], fits=10**6) == [1, 2, 4, 8]
    assert search.roles() == {1: "probe", 2: "fastest", 4: "probe", 8: "largest"}
