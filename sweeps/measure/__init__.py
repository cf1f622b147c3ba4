"""How numbers are taken, free of Ray and usable from a notebook; each name is imported when it is first asked for.

May import ``workloads``, ``analysis.contract`` and ``sweeps.text``.

How long does a step take, and how sure is that? ``Timer`` waits for the device on both sides, ``warm_up`` ends by rule,
and rounds go on until the 95 % interval of the median is within the policy's target or its time is up:

>>> import torch
>>> from sweeps.measure import RoundLog, RoundPolicy, Timer, open_device, run_round, warm_up
>>> device = open_device("cpu")  # or the name of this machine's accelerator, see available_devices()
>>> model, batch = torch.nn.Linear(256, 256).to(device), torch.rand(32, 256, device=device)
>>> def step():
...     with torch.inference_mode():
...         return model(batch)
>>> timer, policy, log = Timer(device), RoundPolicy(max_s=2.0), RoundLog()
>>> warm = warm_up(step, timer)
>>> while not log.is_enough(policy):
...     _ = log.add(run_round(step, timer, policy.round_s))
>>> row = log.summary(items_per_step=32, policy=policy)
>>> is_precise = row.is_precise  # within max_s or not; row.step_median_s, its interval, row.stability, ...
>>> row.latency_p99_s is None or row.n_samples >= 662  # a percentile takes its samples, or there is none
True

Did the timer wait, is the answer right, does memory grow, what did it draw?

>>> from sweeps.measure import EnergyMonitor, MemoryMonitor, check_leak, compare_outputs, open_energy_source
>>> from sweeps.measure import verify_timing, wrong_reason
>>> proof = verify_timing(device)  # proof.verified, proof.detail
>>> right = compare_outputs(step().cpu(), model.cpu().double()(batch.cpu().double()).detach())
>>> right.reference, wrong_reason(right, "fp32")
('cpu fp64', None)
>>> model = model.float().to(device)
>>> leak = check_leak(step, None, device, max_s=0.5)  # leak.leak_verdict, leak.leak_host_bytes_per_step
>>> with MemoryMonitor(device) as memory, EnergyMonitor(open_energy_source(device)) as energy:
...     samples = run_round(step, timer, 0.1)
...     peaks, joules = memory.columns(), energy.columns(n_items=32 * len(samples))
>>> peaks["peak_rss_bytes"] > 0
True

Latency under load: requests at the random times of a Poisson process, counted from when each was due:

>>> from sweeps.measure import poisson_arrivals, run_server
>>> served = run_server(lambda: timer.time(step), poisson_arrivals(200.0, 100, seed=0), deadline_s=0.05)
>>> served.n_requests, served.columns(0.05, items_per_step=32)["latency_p99_s"]
(100, None)

``measure_transfers`` times copies, ``count_step`` with ``measure_flop_ceiling`` and ``measure_copy_ceiling`` tells how
near to the device's limits a step is, ``ConditionMonitor`` sees throttling and other processes, and ``run_selftest``
runs every proof. ``environment`` is not among the names: ``from
sweeps.measure.device.environment import environment``.
"""

from __future__ import annotations

import importlib
from typing import Any

# torch takes seconds to import and is not needed by the driver's command line, so nothing is imported here.
_PUBLIC = {
    "agreement": ("compare_outputs", "wrong_reason"),
    "ceilings": ("measure_copy_ceiling", "measure_flop_ceiling"),
    "device.description": ("describe",),
    "device.device": ("available_devices", "open_device", "synchronize", "unsupported_reason"),
    "monitors.conditions": ("ConditionMonitor",),
    "monitors.energy": ("EnergyMonitor", "measure_idle_power"),
    "monitors.energy_sources": ("open_energy_source",),
    "monitors.leak": ("check_leak",),
    "monitors.memory": ("MemoryMonitor",),
    "selftest": ("Proof", "run_selftest"),
    "step_work": ("count_step",),
    "timing.clock": ("Timer", "choose_steps_per_sample", "run_round", "warm_up"),
    "timing.rounds": ("RoundLog", "RoundPolicy", "summarise_timing"),
    "timing.rate_search": ("find_max_rate",),
    "timing.server_load": ("poisson_arrivals",),
    "timing.serving": ("run_server",),
    "timing.statistics": ("drift", "iqr_ratio", "median_interval", "percentiles", "stability"),
    "timing.timer_proof": ("verify_timing",),
    "timing.transfer": ("measure_transfers",),
}
"""THE list of public names, by the module that has them."""
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = sorted(_HOME)  # noqa: PLE0605 (a list, though not a literal)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
