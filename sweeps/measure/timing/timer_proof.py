"""The proof that a device's timer waits for the device.

Work of known growth must grow in the timer, and nothing may be left to do when the timer returns. The work grows
inside of each operation, at a fixed number of launches: a clock that sees only the launches sees no growth.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from sweeps.measure.timing.clock import Timer

GROWTH = (1, 2, 4)
MIN_DOUBLING, MAX_DOUBLING = 1.4, 2.8
"""Twice the work must take this many times as long: 2, give or take what a device gains by being fuller."""
MAX_LEFT_RATIO = 0.1
"""Share of the time that may be left to do when the timer returns; fetching a result takes some of it."""
FETCH_S = 5e-4
REPEATS, TRIES = 15, 4
_UNIT_S = {"cpu": 0.001}
_DEFAULT_UNIT_S = 0.01
"""A unit on the CPU is short enough to run between two of a busy machine's turns to other processes."""
_MATRIX_SIZE = {"cpu": 96}
_DEFAULT_MATRIX_SIZE, _LEAST_MATRIX_SIZE, _DEFAULT_MATRICES = 512, 64, 32


@dataclass(frozen=True, kw_only=True)
class TimingProof:
    """What the proof found.

    Attributes:
        verified: The timer grew with the work and left nothing to do; None where it grew by more than the work did, for
            which a busy machine is the only reason.
        seconds: Shortest seconds of one, two and four units of work in the timer.
        growth: Seconds of four units over those of one; 4 is ideal.
        launch_s: Seconds until the launch of four units returned, which an unsynchronised clock would have shown.
        left_s: Seconds of work left when the timer returned.
        is_asynchronous: The launch returned well before the work was done, so that waiting matters here.
        detail: One sentence for the user.
    """

    verified: bool | None
    seconds: tuple[float, ...]
    growth: float
    launch_s: float
    left_s: float
    is_asynchronous: bool
    detail: str


class Work(Protocol):
    """Work whose length grows in proportion to a number, launched in the same number of operations."""

    def launch(self, scale: int) -> None:
        """Start ``scale`` units of work; may return before they are done."""

    def fetch(self) -> None:
        """Wait for the result of all work launched, by other means than the timer's."""


class MatrixWork:
    """Batched matrix products one after the other into the same place; a unit is 10 ms of them, on the CPU 1 ms.

    Smaller ones where two of them would make a unit longer than that.

    Args:
        device: An open device.
    """

    def __init__(self, device: torch.device) -> None:
        unit_s = _UNIT_S.get(device.type, _DEFAULT_UNIT_S)
        size = _MATRIX_SIZE.get(device.type, _DEFAULT_MATRIX_SIZE)
        one = self._product_s(device, size)
        while 2 * one > unit_s and size // 2 >= _LEAST_MATRIX_SIZE:
            size //= 2
            one = self._product_s(device, size)
        self._n_products = max(2, min(500, round(unit_s / max(one, 1e-6))))
        self.launch(GROWTH[-1])
        self.fetch()

    def _product_s(self, device: torch.device, size: int) -> float:
        """Make the operands for products of a size; seconds of one product of the smallest batch."""
        # A batch must keep every core busy from the first unit on, or four units would take no longer than one.
        n_matrices = 8 * torch.get_num_threads() if device.type == "cpu" else _DEFAULT_MATRICES
        generator = torch.Generator().manual_seed(0)
        a = torch.randn(GROWTH[-1] * n_matrices, size, size, generator=generator).to(device)
        b = torch.eye(size).to(device).expand_as(a).contiguous()
        self._operands = {scale: (a[: scale * n_matrices], b[: scale * n_matrices]) for scale in GROWTH}
        self._out = torch.empty_like(a)
        self._n_matrices, self._n_products = n_matrices, 1
        self._multiply(GROWTH[-1])
        self.fetch()
        # Not by the timer on trial: one that does not wait would make the units, and the proof, last for minutes.
        return min(self._fetched_s() for _ in range(3))

    def _multiply(self, scale: int) -> None:
        left, right = self._operands[scale]
        out = self._out[: scale * self._n_matrices]
        for _ in range(self._n_products):
            torch.bmm(left, right, out=out)

    def _fetched_s(self) -> float:
        began = time.perf_counter()
        self._multiply(1)
        self.fetch()
        return time.perf_counter() - began

    def launch(self, scale: int) -> None:
        self._multiply(scale)

    def fetch(self) -> None:
        # Reading a value on the host needs the value, whatever the device's synchronisation does.
        self._out[0, 0, 0].item()


def _left_after(timer: Timer, work: Work) -> float:
    """Seconds that the largest work still takes after the timer has returned, least of three."""
    left = []
    for _ in range(3):
        timer.time(lambda: work.launch(GROWTH[-1]))
        began = time.perf_counter()
        work.fetch()
        left.append(time.perf_counter() - began)
    return min(left)


def _launch_seconds(work: Work) -> float:
    """Seconds until the launch of the largest work returns, as a clock that does not wait sees it."""
    taken = []
    for _ in range(3):
        work.fetch()
        began = time.perf_counter()
        work.launch(GROWTH[-1])
        taken.append(time.perf_counter() - began)
    work.fetch()
    return min(taken)


def _milliseconds(seconds: Sequence[float]) -> str:
    return ", ".join(f"{s * 1e3:.3g}" for s in seconds)


def judge(seconds: tuple[float, ...], launch_s: float, left_s: float) -> TimingProof:
    """Decide from what was measured.

    Args:
        seconds: Of one, two and four units of work, in the timer.
        launch_s: See ``TimingProof``.
        left_s: See ``TimingProof``.
    """
    doublings = [later / max(earlier, 1e-9) for earlier, later in itertools.pairwise(seconds)]
    grows, is_disturbed = min(doublings) >= MIN_DOUBLING, max(doublings) > MAX_DOUBLING
    growth = seconds[-1] / max(seconds[0], 1e-9)
    is_asynchronous = launch_s < 0.5 * seconds[-1]
    returned_early = left_s > MAX_LEFT_RATIO * seconds[-1] + FETCH_S
    told = f"1, 2 and 4 units of work took {_milliseconds(seconds)} ms"
    if returned_early:
        told = f"the timer returned with {left_s * 1e3:.3g} ms of work left to do: it does not wait; {told}"
    elif not grows:
        told = f"the timer does not grow with the work: {told}"
    elif is_disturbed:
        told = f"too much else ran on this machine to tell: {told}"
    elif is_asynchronous:
        told += f"; without waiting a clock would have shown {launch_s * 1e3:.3g} ms for the last"
    waits = grows and not returned_early
    return TimingProof(
        verified=None if waits and is_disturbed else waits, seconds=seconds, growth=growth, launch_s=launch_s,
        left_s=left_s, is_asynchronous=is_asynchronous, detail=told,
    )  # fmt: skip


def verify_timing(
    device: torch.device, timer: Timer | None = None, work: Work | None = None, tries: int = TRIES
) -> TimingProof:
    """Run the proof: units of work interleaved, shortest times compared, then what is left when the timer returns.

    Takes about a second. Whatever else runs on the machine only adds to some of the times, which the shortest of 15
    leaves out; where even those are spoilt 15 more are taken, up to ``tries`` times. A timer that returns early fails
    however often it is tried.

    Args:
        device: An open device.
        timer: The timer on trial; the device's own by default.
        work: The work; matrix products on the device by default.
        tries: How often at most.
    """
    with _one_thread():
        timer = timer or Timer(device)
        work = work or MatrixWork(device)
        taken: dict[int, list[float]] = {scale: [] for scale in GROWTH}
        proof = _try(timer, work, taken)
        for _ in range(tries - 1):
            if proof.verified:
                break
            proof = _try(timer, work, taken)
    return proof


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread of the CPU: of several, another process need only hold up one to spoil every time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _try(timer: Timer, work: Work, taken: dict[int, list[float]]) -> TimingProof:
    """Add to the times taken before, and judge the shortest of them all."""
    for _ in range(REPEATS):
        for scale in GROWTH:
            taken[scale].append(timer.time(lambda scale=scale: work.launch(scale)))  # type: ignore[misc]
            work.fetch()  # a timer that returned early must not charge the rest to the next
    seconds = tuple(min(taken[scale]) for scale in GROWTH)
    return judge(seconds, _launch_seconds(work), _left_after(timer, work))
