"""How numbers are taken, free of Ray and usable from a notebook; each name is imported when it is first asked for.

    from sweeps.measure import Timer, median_interval, open_device, run_round, warm_up

    timer = Timer(open_device("cpu"))
    warm_up(step, timer)
    print(median_interval(run_round(step, timer, round_s=1.0)))

``environment`` is not among them, as a module has that name: ``from sweeps.measure.environment import environment``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.measure.ceilings import measure_copy_ceiling, measure_flop_ceiling
    from sweeps.measure.device import available_devices, describe, open_device, synchronize, unsupported_reason
    from sweeps.measure.energy import EnergyMonitor, open_energy_source
    from sweeps.measure.leak import check_leak
    from sweeps.measure.limits import count_step
    from sweeps.measure.memory import MemoryMonitor
    from sweeps.measure.numerics import compare_outputs
    from sweeps.measure.rounds import RoundLog, RoundPolicy, summarise_timing
    from sweeps.measure.selftest import Proof, run_selftest
    from sweeps.measure.statistics import drift, iqr_ratio, median_interval, percentiles, stability
    from sweeps.measure.throttle import ConditionMonitor
    from sweeps.measure.timing import Timer, choose_steps_per_sample, run_round, warm_up
    from sweeps.measure.transfer import measure_transfers
    from sweeps.measure.verify import verify_timing

__all__ = [
    "ConditionMonitor", "EnergyMonitor", "MemoryMonitor", "Proof", "RoundLog", "RoundPolicy", "Timer",
    "available_devices", "check_leak", "choose_steps_per_sample", "compare_outputs", "count_step", "describe", "drift",
    "iqr_ratio", "measure_copy_ceiling", "measure_flop_ceiling", "measure_transfers", "median_interval", "open_device",
    "open_energy_source", "percentiles", "run_round", "run_selftest", "stability", "summarise_timing", "synchronize",
    "unsupported_reason", "verify_timing", "warm_up",
]  # fmt: skip

# torch takes seconds to import and is not needed by the driver's command line, so nothing is imported here.
_MODULE_OF = {
    "ceilings": ("measure_copy_ceiling", "measure_flop_ceiling"),
    "device": ("available_devices", "describe", "open_device", "synchronize", "unsupported_reason"),
    "energy": ("EnergyMonitor", "open_energy_source"),
    "leak": ("check_leak",),
    "limits": ("count_step",),
    "memory": ("MemoryMonitor",),
    "numerics": ("compare_outputs",),
    "rounds": ("RoundLog", "RoundPolicy", "summarise_timing"),
    "selftest": ("Proof", "run_selftest"),
    "statistics": ("drift", "iqr_ratio", "median_interval", "percentiles", "stability"),
    "throttle": ("ConditionMonitor",),
    "timing": ("Timer", "choose_steps_per_sample", "run_round", "warm_up"),
    "transfer": ("measure_transfers",),
    "verify": ("verify_timing",),
}
_HOME = {name: module for module, names in _MODULE_OF.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
