"""What a device makes of a precision, where that is not what the precision's name says; found by computing."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sweeps.measure.ceilings import measure_flop_ceiling
from sweeps.measure.device.device import unsupported_reason
from sweeps.measure.device.precisions import reduced_float32
from workloads.precision import PRECISIONS

EMULATED_TIMES = 1.1
"""Times fp32's time for a large product from which a smaller type has no arithmetic of its own on the device.

Where it has, it is as fast as float32 at least, as it moves half the bytes. Apple's M1 and M2 convert every bfloat16: a
training took 625 ms a step instead of 536 (nanochat discussion 685).
"""


def needed_ceilings(precision: str) -> tuple[str, ...]:
    """The precisions whose ceilings ``precision_note`` compares."""
    if PRECISIONS[precision].quantised is not None:
        return ()
    return (precision,) if PRECISIONS[precision].lowered is None else ("fp32", precision)


def precision_note(device: torch.device, precision: str, flop_per_s: Mapping[str, float | None]) -> str | None:
    """What is to be known of a precision that the device supports; None if nothing, or if it supports it not.

    Args:
        device: An open device.
        precision: One of ``workloads.precision.PRECISIONS``.
        flop_per_s: The device's ceilings (``measure_flop_ceiling``), of ``needed_ceilings`` at least.
    """
    if unsupported_reason(device, precision) is not None:
        return None
    if PRECISIONS[precision].quantised is not None:
        return None
    if PRECISIONS[precision].lowered is None:
        return reduced_float32(device) if PRECISIONS[precision].float32_matmul == "highest" else None
    full, own = flop_per_s.get("fp32"), flop_per_s.get(precision)
    if not full or not own or full / own <= EMULATED_TIMES:
        return None
    slower = f"a large matrix product takes {full / own:.2g} times as long as in fp32"
    return f"{precision} is emulated, to judge by its speed: {slower}"


def precision_notes(device: torch.device) -> dict[str, str]:
    """The note on each precision that there is one on; takes some half a second a precision."""
    rates = {name: measure_flop_ceiling(device, name) for name in PRECISIONS}
    notes = {name: precision_note(device, name, rates) for name in PRECISIONS}
    return {name: note for name, note in notes.items() if note is not None}
