"""The proof that a device's timer waits for the device: work of known growth must grow in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from sweeps.measure.timing import Timer

GROWTH = (1, 2, 4)
TOLERANCE = 0.35
"""Four times the work must take at least 1.4 and at most 8 times... see ``verify_timing``."""
TARGET_S = 0.02
REPEATS = 7


@dataclass(frozen=True, kw_only=True)
class TimingProof:
    """What the proof found.

    Attributes:
        verified: The timer grew with the work.
        seconds: Median seconds of one, two and four units of work.
        growth: Seconds of four units over those of one; 4 is ideal.
        detail: One sentence.
    """

    verified: bool
    seconds: tuple[float, ...]
    growth: float
    detail: str


def _unit_of_work(device: torch.device, timer: Timer) -> Callable[[int], None]:
    """A chain of matrix products, each needing the one before, sized so that one unit lasts some 20 ms."""
    size = 256 if device.type == "cpu" else 2048
    a = torch.eye(size, device=device)
    state = {"b": torch.randn(size, size, device=device)}

    def run(n: int) -> None:
        b = state["b"]
        for _ in range(n):
            b = a @ b
        state["b"] = b

    run(3)
    one = max(timer.time(lambda: run(8)) / 8, 1e-7)
    per_unit = max(1, round(TARGET_S / one))
    return lambda n: run(n * per_unit)


def judge(seconds: tuple[float, ...], growth: tuple[int, ...] = GROWTH) -> TimingProof:
    """Whether timings grew as their work: each doubling by 1.4 to 2.8 times, which an early return cannot do.

    A clock that does not wait sees only the launches; those of a chain are queued in a time that does not depend
    on how long the work lasts, or that stays far under the time until a full queue makes the launch wait.
    """
    ratios = [later / earlier for earlier, later in zip(seconds, seconds[1:], strict=False)]
    steps = [b / a for a, b in zip(growth, growth[1:], strict=False)]
    verified = all(
        step * (1 - TOLERANCE + 0.05) <= ratio <= step * (1 + TOLERANCE + 0.05)
        for ratio, step in zip(ratios, steps, strict=True)
    )
    total = seconds[-1] / seconds[0]
    told = ", ".join(f"{s * 1e3:.3g} ms" for s in seconds)
    return TimingProof(
        verified=verified, seconds=seconds, growth=total,
        detail=f"{growth[-1]} times the work took {total:.2f} times as long ({told})",
    )  # fmt: skip


def verify_timing(device: torch.device, timer: Timer | None = None) -> TimingProof:
    """Run the proof: one, two and four units of work, interleaved, medians compared; about half a second.

    Also checks that the clock includes the device's work: on an accelerator the device's own events must agree
    with the synchronised clock.

    Args:
        device: An open device.
        timer: The timer on trial; the device's own by default.
    """
    timer = timer or Timer(device)
    unit = _unit_of_work(device, timer)
    taken: dict[int, list[float]] = {n: [] for n in GROWTH}
    for _ in range(REPEATS):
        for n in GROWTH:
            taken[n].append(timer.time(lambda n=n: unit(n)))  # type: ignore[misc]
    proof = judge(tuple(float(np.median(taken[n])) for n in GROWTH))
    on_device = timer.time_on_device(lambda: unit(GROWTH[-1]))
    if proof.verified and on_device is not None and proof.seconds[-1] < 0.5 * on_device:
        detail = f"the clock saw {proof.seconds[-1] * 1e3:.3g} ms of {on_device * 1e3:.3g} ms that the device worked"
        return TimingProof(verified=False, seconds=proof.seconds, growth=proof.growth, detail=detail)
    return proof
