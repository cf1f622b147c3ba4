"""Energy of a window, from the machine's own counters; unknown is None, never 0.

A window shorter than ten periods of the counter is None: its first and last period would decide the figure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from sweeps.measure.monitors.energy_sources import EnergySource

MIN_PERIODS = 10
MAX_IDLE_GROWTH = 10
"""An idle window that ten periods would make longer than so many times what was asked for is not waited for."""


def least_window_s(period_s: float, n_windows: int = 1) -> float:
    """Seconds that windows must last together for their energy to be known.

    Ten periods for one. Each window's ends fall somewhere within a period, and the errors of several windows, being
    independent, add up by the square root of their number.

    Args:
        period_s: Seconds between two updates of the counter.
        n_windows: Windows with other work between them, such as the rounds of a training between its evaluations.
    """
    return MIN_PERIODS * period_s * math.sqrt(n_windows)


def energy_figures(
    joules: float | None, window_s: float, n_items: int, period_s: float, n_windows: int = 1
) -> dict[str, float | None]:
    """Columns of the trials table for a window; all None if it is too short or the counter unknown or stood still.

    Args:
        joules: Energy of the window.
        window_s: Its length in seconds.
        n_items: Items worked through in it.
        period_s: Seconds between two updates of the counter.
        n_windows: In how many pieces it was taken.
    """
    names = ("energy_j", "energy_window_s", "energy_per_item_j", "items_per_j", "mean_power_w")
    if joules is None or joules <= 0 or n_items < 1 or window_s < least_window_s(period_s, n_windows):
        return dict.fromkeys(names)
    return dict(zip(names, (joules, window_s, joules / n_items, n_items / joules, joules / window_s), strict=True))


def energy_of_rounds(
    joules: Sequence[float | None], seconds: Sequence[float], n_items: int, period_s: float
) -> dict[str, float | None]:
    """The same columns for rounds that had other work between them, which is left out.

    Args:
        joules: Energy of each round; one unknown makes all unknown.
        seconds: Length of each.
        n_items: Items worked through in all of them.
        period_s: Seconds between two updates of the counter.
    """
    known = [value for value in joules if value is not None]
    total = sum(known) if len(known) == len(joules) else None
    return energy_figures(total, sum(seconds), n_items, period_s, max(1, len(joules)))


def sustained_energy(
    run: Callable[[int], object], source: EnergySource, *, step_s: float, items_per_step: int, longest_s: float
) -> dict[str, float | None]:
    """The same columns for steps in one piece, as many as ten periods of the counter hold.

    For work whose own rounds are too short for the counter and have other work between them, such as the rounds of a
    small network's training: more of them would help by the square root of their number only.

    Args:
        run: Does so many steps and waits for the device.
        source: The counter.
        step_s: About the seconds of a step, by which the device is waited for ten times a window.
        items_per_step: Items worked through in each.
        longest_s: A counter that needs a longer window than this is not waited for; all columns are None then.
    """
    window_s = least_window_s(source.period_s)
    if window_s > longest_s:
        return energy_figures(None, 0.0, 0, 0.0)
    n_steps, n_done = max(1, int(window_s / MIN_PERIODS / step_s)), 0
    run(n_steps)  # the window begins with the work under way, not with what was done before it
    before, began = source.read_j(), time.monotonic()
    while before is not None and time.monotonic() - began < window_s:
        run(n_steps)
        n_done += n_steps
    after, measured_s = source.read_j(), time.monotonic() - began
    joules = None if before is None or after is None else after - before
    return energy_figures(joules, measured_s, n_done * items_per_step, source.period_s)


def measure_idle_power(source: EnergySource, seconds: float) -> float | None:
    """Mean watts while nothing is done for at least ten counter periods; None if the source is unknown or too slow."""
    window = max(seconds, least_window_s(source.period_s))
    if window > MAX_IDLE_GROWTH * seconds:
        return None
    before, began = source.read_j(), time.monotonic()
    if before is None:
        return None
    time.sleep(window)
    after = source.read_j()
    if after is None or after <= before:
        return None
    return (after - before) / (time.monotonic() - began)


class EnergyMonitor:
    """Context manager around a window of work.

    Args:
        source: What ``open_energy_source`` found for the device.
    """

    def __init__(self, source: EnergySource) -> None:
        self._source = source
        self._before: float | None = None
        self._began = 0.0
        self._peak_w: float | None = None

    def __enter__(self) -> EnergyMonitor:
        self._peak_w = None
        self._before, self._began = self._source.read_j(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def read_j(self) -> float | None:
        """The counter now, in joules; call it at the end of a round to see the round's peak power too."""
        power = self._source.read_w()
        if power is not None:
            self._peak_w = power if self._peak_w is None else max(self._peak_w, power)
        return self._source.read_j()

    def columns(self, n_items: int) -> dict[str, Any]:
        """Columns of the trials table for the window so far.

        Args:
            n_items: Items worked through in the window.
        """
        after, window_s = self._source.read_j(), time.monotonic() - self._began
        joules = None if self._before is None or after is None else after - self._before
        figures = energy_figures(joules, window_s, n_items, self._source.period_s)
        return {
            "energy_source": self._source.name or None,
            "energy_domain": self._source.domain or None,
            **figures,
            "peak_power_w": None if figures["energy_j"] is None else self._peak_w,
        }
