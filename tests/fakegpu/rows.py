"""What the rows of the device have, whatever measured them; and its trainings."""

from __future__ import annotations

import math

import pandas as pd

from tests.fakegpu import DEFAULT_BYTES, NAME

SHORT = ("--min-rounds", "1", "--min-s", "0.05", "--max-s", "0.1", "--no-report", "--no-recheck", "--device", NAME)
TRAINING = (
    "finetune", *SHORT, "--precision", "fp32", "--image-size", "32", "--batch-size", "32", "--epochs", "0.1",
    "--feed", "resident", "streamed", "--pruner", "none",
)  # fmt: skip
TRAINED = {"unified": "shufflenet_v2_x0_5", "discrete": "squeezenet1_1"}
"""By kind, what is trained. On a discrete one test_clocks.py trains a network that normalises."""
INFERENCE = (
    "inference", *SHORT, "--precision", "fp32", "bf16", "--batch-size", "2", "--compile", "none", "default",
    "--model", "shufflenet_v2_x0_5",
)  # fmt: skip
LN_10 = math.log(10)
"""The loss of a network that has learnt nothing of ten classes."""


def check(rows: pd.DataFrame, kind: str) -> None:
    """What every complete row of the device has."""
    of_gpu = rows[(rows["device"] == NAME) & (rows["status"] == "complete")]
    assert len(of_gpu)
    assert of_gpu["timing_verified"].notna().all()
    assert set(of_gpu["device_total_bytes"]) == {DEFAULT_BYTES}
    peaks = of_gpu[["device_peak_allocated_bytes", "device_peak_reserved_bytes"]]
    assert (peaks > 0).all().all()
    assert (peaks["device_peak_allocated_bytes"] <= peaks["device_peak_reserved_bytes"]).all()
    assert of_gpu["device_recommended_max_bytes"].notna().all() == (kind == "unified")
    assert of_gpu["energy_j"].isna().all(), "no counter, so null"


def check_copies(rows: pd.DataFrame, kind: str) -> None:
    assert set(rows["unified_memory"]) == {kind == "unified"}
    assert rows["h2d_pinned_bytes_per_s"].notna().all()
    assert rows["overlapped_step_s"].notna().all() == (kind == "discrete")


def check_trained(rows: pd.DataFrame, kind: str) -> None:
    assert set(rows["feed"]) == {"resident", "streamed"}
    assert rows["status"].tolist() == ["complete"] * len(rows)
    assert (rows["loss_final"] - LN_10).abs().max() < 0.15, "some steps of ten classes, as on the CPU"
    check(rows, kind)


def check_answered(rows: pd.DataFrame, kind: str) -> None:
    """Of the rows of INFERENCE."""
    complete = rows[rows["status"] == "complete"]
    assert complete["compile"].tolist() == ["none", "none"]
    assert set(rows.loc[rows["compile"] == "default", "status"]) == {"unsupported"}
    assert (complete["rms_rel_diff"] < 3 * complete["rounding_rel_diff"]).all(), "rounding alone, in either precision"
    check(rows, kind)
    check_copies(complete, kind)
