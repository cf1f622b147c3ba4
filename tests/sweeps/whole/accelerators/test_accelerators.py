"""Whole sweeps on an accelerator that is told from its name by nobody: as an Apple GPU, and as a discrete one."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.fakegpu import environment
from tests.fakegpu.build import why_not
from tests.sweeps.conftest import Run
from tests.sweeps.whole.driving import kept, start, wait_for_rows
from tests.sweeps.whole.several import Ended, run_several

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(REASON is not None, reason=str(REASON))]
GPU = "fakegpu"
LN_10 = math.log(10)
"""The loss of a network that has learnt nothing of ten classes."""
SHORT = ("--min-rounds", "1", "--min-s", "0.05", "--max-s", "0.1", "--no-report", "--no-recheck")
KINDS = [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("unified", "discrete")]
"""One of pytest-xdist's workers gets all that is asked of the sweeps of a kind."""


def rows_of(results: Path, table: str = "trials") -> pd.DataFrame:
    found = [pd.read_parquet(file) for file in sorted(results.glob(f"*/{table}/[!._]*.parquet"))]
    return pd.concat(found, ignore_index=True)


def check(rows: pd.DataFrame, kind: str) -> None:
    """What every complete row of the device has."""
    of_gpu = rows[(rows["device"] == GPU) & (rows["status"] == "complete")]
    assert len(of_gpu)
    assert of_gpu["timing_verified"].notna().all()
    assert set(of_gpu["device_total_bytes"]) == {2**30}
    peaks = of_gpu[["device_peak_allocated_bytes", "device_peak_reserved_bytes"]]
    assert (peaks > 0).all().all()
    assert (peaks["device_peak_allocated_bytes"] <= peaks["device_peak_reserved_bytes"]).all()
    assert of_gpu["device_recommended_max_bytes"].notna().all() == (kind == "unified")
    assert of_gpu["energy_j"].isna().all(), "no counter, so null"


def check_copies(rows: pd.DataFrame, kind: str) -> None:
    assert set(rows["unified_memory"]) == {kind == "unified"}
    assert rows["h2d_pinned_bytes_per_s"].notna().all()
    assert rows["overlapped_step_s"].notna().all() == (kind == "discrete")


TRAINING = (
    "finetune", *SHORT, "--precision", "fp32", "--image-size", "32", "--batch-size", "32", "--epochs", "0.1",
    "--model", "shufflenet_v2_x0_5", "--feed", "resident", "streamed", "--pruner", "none",
)  # fmt: skip


def check_trained(rows: pd.DataFrame, kind: str) -> None:
    assert rows["status"].tolist() == ["complete"] * len(rows)
    assert (rows["loss_final"] - LN_10).abs().max() < 0.15, "some steps of ten classes, as on the CPU"
    check(rows, kind)


COMMANDS = {
    "training": (*TRAINING, "--device", GPU),
    "inference": ("inference", *SHORT, "--precision", "fp32", "bf16", "--batch-size", "2", "--compile", "none", "default",
                  "--device", GPU),
    "images": ("image-processing", *SHORT, "--batch-size", "2", "--device", GPU),
    "coverage": ("op-coverage", "--smoke", "--device", GPU),
}  # fmt: skip
OF_KIND = {"unified": ("inference", "images", "coverage"), "discrete": ("training", "inference")}
Swept = Callable[[str], tuple[Path, dict[str, Ended]]]


@pytest.fixture
def swept(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Swept:
    """``swept(kind)``: the results of each command, in a folder of its name, and how it ended; run once in all."""
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent  # which pytest-xdist's workers share

    def of(kind: str) -> tuple[Path, dict[str, Ended]]:
        commands = {name: COMMANDS[name] for name in OF_KIND[kind]}
        return folder / kind, run_several(folder / kind, commands, environment(kind))

    return of


@pytest.mark.xdist_group("discrete")
def test_a_training_on_a_discrete_gpu_overlaps_its_feed_and_learns_as_the_cpu(swept: Swept) -> None:
    folder, ended = swept("discrete")
    assert ended["training"].code == 0, ended["training"]
    rows = rows_of(folder / "training")
    assert set(rows["feed"]) == {"resident", "streamed"}
    check_trained(rows, "discrete")


def test_a_training_on_an_apple_gpu_learns_and_once_killed_goes_on_where_it_was(
    accelsweep: Run, tmp_path: Path
) -> None:
    with_gpu = {name: value for name, value in environment().items() if os.environ.get(name) != value}
    under = ("env", *(f"{name}={value}" for name, value in with_gpu.items()))
    process = start(tmp_path, *TRAINING, "--device", GPU, under=under)
    wait_for_rows(tmp_path / "results", 1, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    before = rows_of(tmp_path / "results")
    (sweep,) = (tmp_path / "results").glob("*-finetune")
    ended = accelsweep("finetune", "--resume", sweep.name, **environment())
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = rows_of(tmp_path / "results")
    assert kept(before, rows)
    assert set(rows["feed"]) == {"resident", "streamed"}
    check_trained(rows, "unified")


@pytest.mark.parametrize("kind", KINDS)
def test_inference_agrees_and_what_cannot_be_compiled_says_so(swept: Swept, kind: str) -> None:
    folder, ended = swept(kind)
    assert ended["inference"].code == 0, ended["inference"]
    rows = rows_of(folder / "inference")
    complete = rows[rows["status"] == "complete"]
    assert complete["compile"].tolist() == ["none", "none"]
    assert set(rows.loc[rows["compile"] == "default", "status"]) == {"unsupported"}
    assert (complete["rms_rel_diff"] < 3 * complete["rounding_rel_diff"]).all(), "rounding alone, in either precision"
    check(rows, kind)
    check_copies(complete, kind)


@pytest.mark.xdist_group("unified")
def test_every_image_pipeline_agrees_and_decoding_is_not_told_as_the_devices(swept: Swept) -> None:
    folder, ended = swept("unified")
    assert ended["images"].code == 0, ended["images"]
    rows = rows_of(folder / "images").set_index("pipeline")
    assert rows.loc["decode", "status"] == "unsupported"
    assert "no JPEG decoder on fakegpu" in rows.loc["decode", "status_reason"]
    complete = rows.drop(index="decode")
    assert complete["status"].tolist() == ["complete"] * 5, complete[["status", "status_reason", "error_message"]]
    assert (complete["max_rel_diff"] < 0.06).all()
    check(rows, "unified")
    check_copies(complete, "unified")


def test_the_selftest_fails_nothing(accelsweep: Run) -> None:
    ended = accelsweep("selftest", "--device", GPU, **environment())
    failed = [line for line in ended.stdout.splitlines() if line.startswith("FAILED")]
    assert failed == [], ended.stdout + ended.stderr
    assert "the timer waits for the device" in ended.stdout


@pytest.mark.xdist_group("unified")
def test_a_coverage_sweep_tells_what_an_apple_gpu_lacks(swept: Swept) -> None:
    folder, ended = swept("unified")
    assert ended["coverage"].code in {0, 1}, ended["coverage"]
    rows = rows_of(folder / "coverage", "operations")
    assert (rows["verdict"] == "supported").mean() > 0.5
    # Of what the CPU computes in half precision some is off by more than PyTorch allows, here as there.
    assert set(rows.loc[rows["dtype"] == "fp32", "verdict"]) == {"supported", "unsupported"}
    assert rows["reason"].str.contains("MPS framework doesn't support float64").any()
