"""Energy of a window, from the machine's own counters; unknown is None, never 0.

A window shorter than ten periods of the counter is None: its first and last period would decide the figure.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from sweeps.measure.monitors.energy_sources import EnergySource

MIN_PERIODS = 10
SETTLED_RATIO, MAX_IDLE_WINDOWS = 0.97, 8
"""An idle device has settled when a window takes no less than this share of the one before."""
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
    joules: float | None,
    window_s: float,
    n_items: int,
    period_s: float,
    n_windows: int = 1,
    *,
    peak_w: float | None = None,
) -> dict[str, float | None]:
    """Columns of the trials table for a window; all None if it is too short or the counter unknown or stood still.

    Args:
        joules: Energy of the window.
        window_s: Its length in seconds.
        n_items: Items worked through in it.
        period_s: Seconds between two updates of the counter.
        n_windows: In how many pieces it was taken.
        peak_w: Watts of the busiest part of it that is a window by itself; None where there is one window.
    """
    names = ("energy_j", "energy_window_s", "energy_per_item_j", "items_per_j", "mean_power_w", "peak_power_w")
    if joules is None or joules <= 0 or n_items < 1 or window_s < least_window_s(period_s, n_windows):
        return dict.fromkeys(names)
    mean_w = joules / window_s
    figures = (joules, window_s, joules / n_items, n_items / joules, mean_w, mean_w if peak_w is None else peak_w)
    return dict(zip(names, figures, strict=True))


def peak_power_w(joules: Sequence[float], seconds: Sequence[float], period_s: float, *, apart: bool) -> float | None:
    """The highest mean power of neighbouring pieces that are a window together; None where all are not.

    A sample of power is a mean of the driver's own over up to a second, which can lie under the mean of the very window
    that it was taken in; the parts of a window by the counter of its energy cannot all.

    Args:
        joules: Energy of each piece.
        seconds: Length of each.
        period_s: Seconds between two updates of the counter.
        apart: Something else lay between the pieces.
    """
    found: list[tuple[float, float]] = []
    part_j, part_s, n = 0.0, 0.0, 0
    for energy_j, length_s in zip(joules, seconds, strict=True):
        part_j, part_s, n = part_j + energy_j, part_s + length_s, n + 1
        if part_s >= least_window_s(period_s, n if apart else 1):
            found.append((part_j, part_s))
            part_j, part_s, n = 0.0, 0.0, 0
    if not found:
        return None
    found[-1] = (found[-1][0] + part_j, found[-1][1] + part_s)  # what is left over belongs to the last
    return max(energy_j / length_s for energy_j, length_s in found if length_s > 0)


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
    peak_w = None if total is None else peak_power_w(known, seconds, period_s, apart=True)
    return energy_figures(total, sum(seconds), n_items, period_s, max(1, len(joules)), peak_w=peak_w)


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
    """Mean watts of a device that has nothing to do and has settled; None if the source is unknown or too slow.

    After work clocks and power fall over seconds, so windows of ``seconds`` and ten counter periods at least follow
    each other until one takes about as much as the one before, at most ``MAX_IDLE_WINDOWS`` of them.
    """
    window = max(seconds, least_window_s(source.period_s))
    if window > MAX_IDLE_GROWTH * seconds:
        return None
    before_w = _idle_window(source, window)
    for _ in range(MAX_IDLE_WINDOWS - 1 if before_w is not None else 0):
        now_w = _idle_window(source, window)
        if now_w is None or before_w is None:
            return None
        if now_w >= SETTLED_RATIO * before_w:
            return min(now_w, before_w)
        before_w = now_w
    return before_w


def _idle_window(source: EnergySource, window: float) -> float | None:
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
        self._read: list[tuple[float, float | None]] = []

    def __enter__(self) -> EnergyMonitor:
        self._read.clear()
        self.read_j()
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def read_j(self) -> float | None:
        """The counter now, in joules; the peak power is that of windows between two such moments."""
        joules = self._source.read_j()
        self._read.append((time.monotonic(), joules))
        return joules

    def columns(self, n_items: int) -> dict[str, Any]:
        """Columns of the trials table for the window so far.

        Args:
            n_items: Items worked through in the window.
        """
        self.read_j()
        pieces = list(itertools.pairwise(self._read))
        seconds = [later - earlier for (earlier, _), (later, _) in pieces]
        known = [after - before for (_, before), (_, after) in pieces if before is not None and after is not None]
        peak_w = None
        if is_known := len(known) == len(pieces):
            peak_w = peak_power_w(known, seconds, self._source.period_s, apart=False)
        figures = energy_figures(
            sum(known) if is_known else None, sum(seconds), n_items, self._source.period_s, peak_w=peak_w
        )
        return {
            "energy_source": self._source.name or None,
            "energy_domain": self._source.domain or None,
            **figures,
        }
