"""The proof of the timer: an honest one passes, one that does not wait is found out. A device that works on its own,
as an accelerator does, is a real second thread here."""

from __future__ import annotations

import queue
import threading
import time

import pytest
import torch

from sweeps.measure.timing.clock import Timer
from sweeps.measure.timing.timer_proof import TimingProof, judge, verify_timing

CPU = torch.device("cpu")
UNIT_S = 0.003


class Device:
    """Does work in the order given while its host goes on, like a stream of an accelerator."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[float | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (seconds := self._jobs.get()) is not None:
            time.sleep(seconds)
            self._jobs.task_done()
        self._jobs.task_done()

    def launch(self, scale: int) -> None:
        self._jobs.put(scale * UNIT_S)

    def fetch(self) -> None:
        self._jobs.join()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()


class BlindTimer(Timer):
    """Runs the work and says that it took no time."""

    def time(self, step, n_steps: int = 1) -> float:
        super().time(step, n_steps)
        return 0.0


@pytest.fixture
def device():
    made = Device()
    yield made
    made.close()


def proof_with(device: Device, wait, tries: int = 1) -> TimingProof:
    return verify_timing(CPU, Timer(CPU, wait), device, tries)


def test_the_timer_of_this_machines_cpu_is_verified_by_real_products() -> None:
    proof = verify_timing(CPU)
    assert proof.verified, proof.detail
    assert not proof.is_asynchronous


def test_a_timer_that_waits_is_verified_and_the_device_seen_to_be_asynchronous(device: Device) -> None:
    proof = proof_with(device, device.fetch, tries=4)
    assert proof.verified, proof.detail
    assert proof.is_asynchronous
    assert proof.growth == pytest.approx(4, rel=0.25)
    assert "without waiting a clock would have shown" in proof.detail


def test_the_proof_leaves_the_number_of_threads_as_it_was(device: Device) -> None:
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        proof_with(device, lambda: seen.append(torch.get_num_threads()))
        assert seen[-1] == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_timer_that_does_not_synchronise_is_found_out(device: Device) -> None:
    proof = proof_with(device, lambda: None)
    assert not proof.verified
    assert proof.left_s > 2 * UNIT_S
    assert "it does not wait" in proof.detail


def test_a_timer_that_returns_after_half_the_work_is_found_out(device: Device) -> None:
    def half() -> None:
        time.sleep(2 * UNIT_S)

    proof = proof_with(device, half)
    assert not proof.verified
    # On a busy machine its sleep may last as long as the work; then it is the growth that is missing.
    assert "work left to do" in proof.detail or "does not grow" in proof.detail


def test_a_clock_that_shows_the_same_whatever_was_done_is_found_out(device: Device) -> None:
    def wait_and_idle() -> None:
        began = time.perf_counter()
        device.fetch()
        time.sleep(max(0.0, 5 * UNIT_S - (time.perf_counter() - began)))

    proof = proof_with(device, wait_and_idle)
    assert not proof.verified
    assert "does not grow with the work" in proof.detail


def test_a_timer_on_trial_that_shows_nothing_cannot_make_the_proof_endless() -> None:
    # It chooses how many products make a unit.
    began = time.perf_counter()
    assert not verify_timing(CPU, BlindTimer(CPU)).verified
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize(
    ("seconds", "launch_s", "left_s", "verified"),
    [
        ((0.01, 0.02, 0.04), 0.04, 0.0, True),
        ((0.01, 0.015, 0.024), 0.001, 0.0, True),  # a device that fills up gains, within the bounds
        ((0.01, 0.013, 0.02), 0.001, 0.0, False),
        ((0.01, 0.03, 0.09), 0.001, 0.0, None),  # as on a busy machine
        ((0.01, 0.013, 0.09), 0.001, 0.0, False),
        ((0.01, 0.03, 0.09), 0.001, 0.05, False),
        ((1e-5, 1e-5, 1e-5), 1e-5, 0.04, False),
        ((0.01, 0.02, 0.04), 0.001, 0.006, False),
        ((0.0, 0.0, 0.0), 0.0, 0.0, False),
    ],
)
def test_the_verdict_follows_growth_and_what_is_left(
    seconds, launch_s: float, left_s: float, verified: bool | None
) -> None:
    assert judge(seconds, launch_s, left_s).verified is verified


@pytest.mark.gpu
def test_an_accelerators_timer_is_verified_and_without_waiting_it_is_not() -> None:
    from sweeps.measure.device.device import available_devices, open_device

    gpu = open_device(available_devices()[1])
    honest = verify_timing(gpu)
    assert honest.verified, honest.detail
    assert honest.is_asynchronous
    assert not verify_timing(gpu, Timer(gpu, lambda: None)).verified
