"""What is proven and measured of a device once per sweep: its timer, its ceilings, its idle power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweeps.measure.ceilings import measure_copy_ceiling, measure_flop_ceiling
from sweeps.measure.monitors.energy import measure_idle_power
from sweeps.measure.monitors.energy_sources import open_energy_source
from sweeps.measure.precision_notes import needed_ceilings, precision_note
from sweeps.measure.timing.timer_proof import verify_timing

if TYPE_CHECKING:
    import torch

_IN_THIS_PROCESS: dict[str, DeviceFacts] = {}
IDLE_S = 1.0


@dataclass(kw_only=True)
class DeviceFacts:
    """Facts of one device, shared by all the cells of a sweep.

    Attributes:
        timing_verified: The timer passed its proof; None where the machine was too busy to tell.
        idle_power_w: Watts of the idle device; None if no counter is known or it is too slow.
        ceiling_bytes_per_s: A large copy, read plus written.
        ceiling_flop_per_s: A large matrix product, by precision.
        precision_notes: What the device makes of a precision, by precision; None where that is what its name says.
    """

    timing_verified: bool | None
    idle_power_w: float | None
    ceiling_bytes_per_s: float | None
    ceiling_flop_per_s: dict[str, float | None] = field(default_factory=dict)
    precision_notes: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, device: torch.device, precision: str, known: Mapping[str, Any]) -> DeviceFacts:
        """The device's facts: from an earlier cell of this process or of the sweep, else measured now."""
        facts = _IN_THIS_PROCESS.get(str(device))
        if facts is None and known:
            facts = cls(**known)
        if facts is None:
            facts = cls(
                # First, as the device must settle after whatever else is asked of it.
                idle_power_w=measure_idle_power(open_energy_source(device), IDLE_S),
                timing_verified=verify_timing(device).verified,
                ceiling_bytes_per_s=measure_copy_ceiling(device),
            )
        _IN_THIS_PROCESS[str(device)] = facts
        for name in needed_ceilings(precision):
            if name not in facts.ceiling_flop_per_s:
                facts.ceiling_flop_per_s[name] = measure_flop_ceiling(device, name)
        if precision not in facts.precision_notes:
            facts.precision_notes[precision] = precision_note(device, precision, facts.ceiling_flop_per_s)
        return facts

    def take_ceilings_again(self, device: torch.device, precision: str) -> dict[str, Any]:
        """Measure the ceilings once more, keep the higher of each, and return their columns."""
        now = (self.ceiling_bytes_per_s, measure_copy_ceiling(device))
        self.ceiling_bytes_per_s = max((value for value in now if value is not None), default=None)
        now = (self.ceiling_flop_per_s.get(precision), measure_flop_ceiling(device, precision))
        self.ceiling_flop_per_s[precision] = max((value for value in now if value is not None), default=None)
        told = self.columns(precision)
        return {name: told[name] for name in ("ceiling_bytes_per_s", "ceiling_flop_per_s")}

    def columns(self, precision: str) -> dict[str, Any]:
        """The columns of the trials table for a cell of the given precision."""
        return {
            "timing_verified": self.timing_verified,
            "idle_power_w": self.idle_power_w,
            "ceiling_bytes_per_s": self.ceiling_bytes_per_s,
            "ceiling_flop_per_s": self.ceiling_flop_per_s.get(precision),
            "precision_note": self.precision_notes.get(precision),
        }
