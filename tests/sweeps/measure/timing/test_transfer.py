"""Copies and computation are told apart; what a backend does not have is null. On the CPU for real."""

from __future__ import annotations

import time
from dataclasses import asdict

import pytest
import torch

from sweeps.measure.timing import transfer
from sweeps.measure.timing.clock import Timer
from sweeps.measure.timing.transfer import Transfers, measure_transfers
from sweeps.store.schema import TRIALS
from workloads.runtime.streams import has_streams, pinned

CPU = torch.device("cpu")
BATCH = torch.rand(1, 3, 8, 8)
NEEDS_PINNED = ("h2d_pinned_bytes_per_s", "h2d_nonblocking_bytes_per_s", "d2h_pinned_bytes_per_s")


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transfer, "BANDWIDTH_BYTES", 2**20)
    transfer._bandwidths.cache_clear()
    yield
    transfer._bandwidths.cache_clear()


def slow(batch: torch.Tensor) -> torch.Tensor:
    time.sleep(0.02)
    return batch.mean((2, 3))


def test_the_cpu_copies_from_memory_to_memory_and_has_nothing_pinned() -> None:
    seen = measure_transfers(CPU, torch.rand(4, 3, 32, 32), lambda batch: batch.mean((2, 3)))
    columns = asdict(seen)
    assert set(columns) <= set(TRIALS.names)
    assert seen.unified_memory
    assert [columns[name] for name in (*NEEDS_PINNED, "overlapped_step_s")] == [None] * 4
    assert min(v for n, v in columns.items() if v is not None and n != "unified_memory") > 0


def test_the_share_of_copying_follows_from_its_parts() -> None:
    seen = measure_transfers(CPU, torch.rand(4, 3, 32, 32), slow)
    copies = seen.copy_in_s + seen.copy_out_s
    assert seen.copy_share_ratio == pytest.approx(copies / (copies + seen.compute_s))
    assert seen.compute_s >= 0.02
    assert seen.copy_share_ratio < 0.5, "50 KB against 20 ms"


def test_the_computation_is_not_timed_again_where_its_time_is_known() -> None:
    runs: list[int] = []

    def compute(batch: torch.Tensor) -> torch.Tensor:
        runs.append(len(batch))
        return batch * 2

    assert measure_transfers(CPU, torch.rand(4, 3, 8, 8), compute, compute_s=0.5).compute_s == 0.5
    assert runs == [4], "once, to know the shape of its result"


def test_what_is_copied_arrives() -> None:
    # The landing place is made by the measurement, so look at what its copies wrote.
    host, copied = torch.rand(2, 3, 8, 8), []
    original = torch.Tensor.copy_

    def copy_(self: torch.Tensor, source: torch.Tensor, **options: bool) -> torch.Tensor:
        done = original(self, source, **options)
        copied.append((done.clone(), source.clone()))
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "copy_", copy_)
        measure_transfers(CPU, host, lambda batch: batch + 1)
    shapes = [target.shape for target, _ in copied]
    assert sum(shape == host.shape for shape in shapes) >= 2 * transfer.MIN_REPEATS, "in and out"
    assert all(torch.equal(target, source) for target, source in copied)
    assert any(torch.equal(target, host) for target, _ in copied)
    assert any(torch.equal(target, host + 1) for target, _ in copied)


def test_bandwidths_are_the_machines_and_measured_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    first = measure_transfers(CPU, torch.rand(1, 3, 8, 8), lambda batch: batch)
    monkeypatch.setattr(transfer, "BANDWIDTH_BYTES", 1)
    again = measure_transfers(CPU, torch.rand(2, 3, 8, 8), lambda batch: batch)
    assert again.h2d_pageable_bytes_per_s == first.h2d_pageable_bytes_per_s
    assert again.d2h_pageable_bytes_per_s == first.d2h_pageable_bytes_per_s


def test_a_slow_sample_is_taken_fewer_times_and_the_first_is_left_out() -> None:
    lengths = iter([9.0, *[0.2] * 99])
    taken: list[float] = []

    def sample() -> float:
        taken.append(next(lengths))
        return taken[-1]

    assert transfer._median_s(sample) == 0.2
    assert len(taken) == 1 + transfer.MIN_REPEATS
    long: list[int] = []
    transfer._median_s(lambda: long.append(1) or 2.0)
    assert len(long) == 2, "a sample of seconds is not repeated"
    quick: list[int] = []
    transfer._median_s(lambda: quick.append(1) or 1e-6)
    assert len(quick) == 1 + transfer.REPEATS


class EventTimer(Timer):
    """A timer of a device with events, which tell another time than the host's clock."""

    def time_on_device(self, step, n_steps: int = 1) -> float:
        super().time(step, n_steps)
        return 0.125


def test_copies_are_timed_by_the_devices_events_where_it_has_them() -> None:
    copies: list[int] = []
    assert transfer._copy_s(EventTimer(CPU), lambda: copies.append(1), 4) == 0.125
    assert len(copies) % 4 == 0
    assert 0 < transfer._copy_s(Timer(CPU), lambda: copies.append(1), 4) < 0.1


def test_memory_that_is_not_the_hosts_is_not_called_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.ones(4)
    # As Apple's backend did from torch 2.7 to 2.12: memory of the GPU, which says that it is not pinned.
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: torch.empty(4, device="meta"))
    assert pinned(tensor) is None
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: torch.empty(4))
    assert pinned(tensor) is None, "on the host, and not pinned"

    def refuse(self: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("Could not run 'aten::_pin_memory' with arguments from the 'CUDA' backend.")

    monkeypatch.setattr(torch.Tensor, "pin_memory", refuse)
    assert pinned(tensor) is None


def test_memory_that_is_pinned_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.ones(4)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda self: True)
    assert pinned(tensor) is tensor


def test_what_has_no_pinned_memory_gets_none_to_land_in() -> None:
    if torch.accelerator.is_available():
        pytest.skip("has some")
    assert transfer._pinned_like(BATCH) is None


def test_only_devices_with_streams_of_their_own_overlap() -> None:
    assert transfer._overlapped_s(Timer(CPU), BATCH, BATCH, lambda batch: batch, 0.01) is None


@pytest.mark.gpu
def test_long_copies_are_overlapped_a_few_times_and_none_more_than_there_are_steps() -> None:
    from sweeps.measure.device.device import available_devices, open_device

    gpu, computed = open_device(available_devices()[1]), []
    if not has_streams(gpu.type):
        pytest.skip("no streams of its own")
    host, timer = torch.rand(8, 3, 224, 224), Timer(gpu)

    def compute(batch: torch.Tensor) -> torch.Tensor:
        computed.append(batch)
        return batch.mean((2, 3))

    overlapped_s = transfer._overlapped_s(timer, host, torch.empty(8, 3), compute, transfer.MAX_S)
    assert overlapped_s is not None
    assert overlapped_s > 0
    assert len(computed) % transfer.MIN_PIPELINE_STEPS == 0
    assert len(computed) <= (1 + transfer.REPEATS) * transfer.MIN_PIPELINE_STEPS


@pytest.mark.gpu
def test_an_accelerator_copies_faster_from_pinned_memory_and_overlaps() -> None:
    from sweeps.measure.device.device import available_devices, has_unified_memory, open_device

    gpu = open_device(available_devices()[1])
    transfer._bandwidths.cache_clear()
    transfer.BANDWIDTH_BYTES = 2**26
    weight = torch.rand(256, 3, 11, 11, device=gpu)
    seen: Transfers = measure_transfers(
        gpu, torch.rand(64, 3, 224, 224), lambda batch: torch.nn.functional.conv2d(batch, weight).mean((2, 3))
    )
    assert seen.unified_memory == has_unified_memory(gpu)
    assert 0 < seen.copy_share_ratio < 1
    if not has_streams(gpu.type):
        assert seen.overlapped_step_s is None
        assert seen.h2d_pinned_bytes_per_s is None
        return
    assert seen.h2d_pinned_bytes_per_s is not None
    assert seen.h2d_pinned_bytes_per_s > seen.h2d_pageable_bytes_per_s
    assert seen.overlapped_step_s is not None
    assert seen.overlapped_step_s < seen.copy_in_s + seen.compute_s + seen.copy_out_s
