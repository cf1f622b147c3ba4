"""What rows of older sweeps say otherwise than those of today: computed anew where possible, else null with a note."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.contract.plausible import BOUNDS, Bound, notes

OF_A_STEP = ("items_per_step", "flops_per_step", "bytes_per_step", "achieved_flop_per_s", "achieved_bytes_per_s",
             "flop_share_ratio", "bandwidth_share_ratio")  # fmt: skip
SPEED = ("throughput_items_per_s", "throughput_low_items_per_s", "throughput_high_items_per_s")


def checked(frame: pd.DataFrame) -> pd.DataFrame:
    """The trials with the rates of trainings as items over time, and without figures that contradict one another.

    Older sweeps told a training's items over its median step. Of a complete one the items are those of its epochs; that
    rate has no interval, for the rounds are not in this table. ``rate_note`` says where the items are not known and the
    rate is still the median step's. Of queries of several batches they told the work of one batch by the query's time.
    """
    # Of arrays: a Series takes ten times as long for each of these, whatever its length.
    speed, step, items, epochs, n_train, measured, n_latencies, n_steps = (
        frame[name].to_numpy("float64")
        for name in (SPEED[0], "step_median_s", "items_per_step", "epochs_run", "n_train_items", "measured_s",
                     "n_latency_samples", "steps_per_sample")
    )  # fmt: skip
    is_training = (frame["workload"].to_numpy() == "finetune") & ~np.isnan(speed)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rates = epochs * n_train / measured
    is_known = is_training & np.isfinite(rates)
    is_other = is_known & ~np.isclose(rates, speed, rtol=1e-6)
    if is_other.any():
        frame[SPEED[0]] = frame[SPEED[0]].mask(is_other, rates)
        for end in SPEED[1:]:
            frame[end] = frame[end].mask(is_other)
        speed = frame[SPEED[0]].to_numpy("float64")
    frame["rate_note"] = pd.Series(None, frame.index, dtype="object")
    if (is_of_median := is_training & ~is_known).any():
        frame.loc[is_of_median, "rate_note"] = "rate of the median step"
    # The items of a query, in its time, over those of a batch.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        n_batches = (speed * step / items).round()
    is_query = (frame["scenario"].to_numpy() == "multi-stream") & (n_batches > 1)
    for name in frame.columns.intersection(OF_A_STEP) if is_query.any() else ():
        frame[name] = frame[name].mask(is_query, frame[name] * n_batches)
    is_single = np.isnan(n_latencies) & ~(n_steps > 1)
    frame["n_latency_samples"] = np.where(is_single, frame["n_samples"].to_numpy("float64"), n_latencies)
    for bound in BOUNDS:
        _hold(frame, bound)
    return frame


def _hold(frame: pd.DataFrame, bound: Bound) -> None:
    """Make what a bound forbids null, with its note."""
    least, most = (frame[end].to_numpy() if isinstance(end, str) else end for end in (bound.least, bound.most))
    value = frame[bound.column].to_numpy()
    breaks = np.zeros(len(frame), dtype=bool)
    breaks |= False if least is None else value < least
    breaks |= False if most is None else value > most
    if breaks.any():
        frame[bound.column] = frame[bound.column].mask(breaks)
        frame.loc[breaks, bound.note] = [notes(told, bound.why) for told in frame.loc[breaks, bound.note]]
