"""A planted leak is found with its size, a clean loop cleared, and what cannot be told is left undecided."""

from __future__ import annotations

import gc
import sys
import time

import numpy as np
import pytest
import torch

from analysis.contract.cells import LEAK_BYTES_PER_STEP
from sweeps.measure.monitors.leak import Slope, check_leak, fit_slope, verdict

CPU = torch.device("cpu")
MIB = 2**20
MAX_S = 2.0


def test_a_planted_leak_of_one_megabyte_a_step_is_found_within_ten_percent() -> None:
    kept: list[torch.Tensor] = []
    found = check_leak(lambda: kept.append(torch.ones(MIB // 4)), None, CPU, max_s=MAX_S)
    assert found.leak_verdict == "leak"
    assert found.leak_host_bytes_per_step == pytest.approx(MIB, rel=0.1)
    assert found.leak_host_low_bytes_per_step is not None
    assert found.leak_host_low_bytes_per_step > 0.8 * MIB
    assert found.leak_device_bytes_per_step is None, "the CPU's memory is the host's"


def test_a_clean_loop_is_cleared_with_fixed_and_with_varying_shapes() -> None:
    layer = torch.nn.Linear(256, 256)
    sizes = [64, 8, 32, 16]
    done = iter(range(10**9))
    with torch.inference_mode():
        found = check_leak(
            lambda: layer(torch.ones(64, 256)),
            lambda: layer(torch.ones(sizes[next(done) % 4], 256)),
            CPU,
            max_s=MAX_S,
        )
    assert found.leak_verdict == "none"
    assert found.leak_host_high_bytes_per_step is not None
    assert found.leak_host_high_bytes_per_step < LEAK_BYTES_PER_STEP


def test_a_leak_with_varying_shapes_only_is_found_and_attributed_to_them() -> None:
    kept: dict[int, torch.Tensor] = {}

    def cached() -> None:  # as a cache with one entry for each shape does
        kept[len(kept)] = torch.ones(MIB // 4)

    found = check_leak(lambda: torch.ones(64, 64), cached, CPU, max_s=MAX_S)
    assert (found.leak_verdict, found.leak_shapes) == ("leak", "varying")
    assert found.leak_host_bytes_per_step == pytest.approx(MIB, rel=0.1)


@pytest.mark.parametrize("jump_at", [1, 5, 10, 20, 30, 39])
def test_a_buffer_that_is_filled_once_is_never_called_a_leak(jump_at: int) -> None:
    steps, generator = np.arange(40.0), np.random.default_rng(0)
    n_bytes = np.where(steps < jump_at, 0, 200 * MIB) + generator.integers(0, 4096, 40)
    assert verdict([fit_slope(steps, n_bytes)]) != "leak"


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to give memory back")
def test_a_leak_into_memory_that_was_freed_before_is_found_at_its_size() -> None:
    blocks = [torch.ones(MIB // 4) for _ in range(300)]
    blocks.clear()  # from now on the allocator keeps blocks of this size for itself
    blocks = [torch.ones(MIB // 8) for _ in range(400)]
    end_of_heap = torch.ones(MIB // 8)
    blocks.clear()
    found = check_leak(lambda: blocks.append(torch.ones(MIB // 4)), None, CPU, max_s=MAX_S)
    assert end_of_heap[0] == 1
    assert found.leak_verdict == "leak"
    # On a busy machine giving memory back leaves time for few readings, among which other tests' freed memory shows.
    assert found.leak_host_bytes_per_step == pytest.approx(MIB, rel=0.25)


def test_garbage_in_cycles_is_no_leak_and_the_collector_is_left_as_it_was() -> None:
    def cycle() -> None:
        made: list[object] = [torch.ones(MIB // 16)]
        made.append(made)

    before = gc.get_freeze_count()
    assert check_leak(cycle, None, CPU, max_s=MAX_S / 2).leak_verdict == "none"
    assert gc.get_freeze_count() <= before
    assert gc.isenabled()


def test_the_slope_is_that_of_a_known_line_in_noise() -> None:
    steps = np.arange(0, 400, 10)
    line = 5000 * steps + np.random.default_rng(0).normal(0, 20_000, 40)
    slope = fit_slope(steps, line)
    assert slope.value == pytest.approx(5000, rel=0.05)
    assert slope.low < 5000 < slope.high


def of(low: float, high: float) -> Slope:
    return Slope(
        low=low * LEAK_BYTES_PER_STEP, value=(low + high) / 2 * LEAK_BYTES_PER_STEP, high=high * LEAK_BYTES_PER_STEP
    )


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        ([of(2, 3)], "leak"),
        ([of(-0.1, 0.1)], "none"),
        ([of(-5, -4)], "none"),
        ([of(0.5, 1.5)], "undecided"),
        ([of(-0.1, 0.1), of(2, 3)], "leak"),
        ([of(-0.1, 0.1), of(0.5, 1.5)], "undecided"),
        ([of(0, 0)], "none"),
    ],
)
def test_the_verdict_follows_the_intervals(slopes: list[Slope], expected: str) -> None:
    assert verdict(slopes) == expected


def test_a_slow_step_is_judged_from_few_readings_without_overrunning_its_time() -> None:
    began = time.perf_counter()
    runs: list[int] = []

    def slow() -> None:
        time.sleep(0.05)
        runs.append(1)

    check_leak(slow, None, CPU, max_s=0.5)
    assert 16 <= len(runs) <= 25
    assert time.perf_counter() - began < 5


@pytest.mark.gpu
def test_a_leak_on_an_accelerator_is_found_in_its_own_memory() -> None:
    from sweeps.measure.device.device import available_devices, open_device

    gpu, kept = open_device(available_devices()[1]), []
    found = check_leak(lambda: kept.append(torch.ones(MIB // 4, device=gpu)), None, gpu, max_s=MAX_S)
    assert found.leak_verdict == "leak"
    assert found.leak_device_bytes_per_step == pytest.approx(MIB, rel=0.1)
