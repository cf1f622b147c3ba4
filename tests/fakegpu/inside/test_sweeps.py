"""Sweeps on the device without Ray, of which it knows nothing: what they record of it, and where they go on."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
import torch

from sweeps.commands import main
from sweeps.scheduling.endings import Interrupted
from tests.fakegpu import KIND, NAME
from tests.fakegpu.rows import INFERENCE, SHORT, TRAINED, TRAINING, check, check_answered, check_copies, check_trained
from tests.sweeps.session.without_ray import put_loop, raising, rows_of, sweep_id
from tests.sweeps.whole.driving import kept
from workloads.registry import load_workload

MIB = 2**20


@pytest.fixture(autouse=True)
def nothing_known_of_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.sweeps.session.without_ray.FACTS", {})
    monkeypatch.chdir(tmp_path)


def test_a_training_learns_as_the_cpu_and_once_ended_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_loop(monkeypatch, {1: raising(Interrupted())})
    assert main([*TRAINING, "--model", TRAINED[os.environ[KIND]]]) == 130
    before = rows_of(tmp_path / "results")
    assert len(before) == 1
    put_loop(monkeypatch)
    assert main(["finetune", "--resume", sweep_id(tmp_path / "results"), "--no-report"]) == 0
    rows = rows_of(tmp_path / "results")
    assert kept(before, rows)
    check_trained(rows, os.environ[KIND])


@pytest.mark.unified  # copies of a discrete one: test_layer.py
def test_inference_agrees_and_what_cannot_be_compiled_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_loop(monkeypatch)
    assert main([*INFERENCE]) == 0
    check_answered(rows_of(tmp_path / "results"), os.environ[KIND])


@pytest.mark.unified
def test_every_image_pipeline_agrees_and_decoding_is_not_told_as_the_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_loop(monkeypatch)
    every = load_workload("image-processing").Options().pipeline
    assert main(["image-processing", *SHORT, "--smoke", "--batch-size", "2", "--pipeline", *every]) == 0
    rows = rows_of(tmp_path / "results").set_index("pipeline")
    assert rows.loc["decode", "status"] == "unsupported"
    assert "no JPEG decoder on fakegpu" in rows.loc["decode", "status_reason"]
    complete = rows.drop(index="decode")
    assert complete["status"].tolist() == ["complete"] * 5, complete[["status", "status_reason", "error_message"]]
    assert (complete["max_rel_diff"] < 0.06).all()
    check(rows, "unified")
    check_copies(complete, "unified")


@pytest.mark.unified
def test_the_largest_batch_is_found_before_the_machine_swaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_loop(monkeypatch)
    recommended = 29 * MIB
    torch.fakegpu.set_memory(recommended)
    try:
        assert main(["image-processing", *SHORT, "--smoke", "--batch-size", "auto", "--pipeline", "resize"]) == 0
    finally:
        torch.fakegpu.set_memory(2**30)
    rows = rows_of(tmp_path / "results").set_index("batch_size").sort_index()
    assert set(rows["status"]) == {"complete"}, "1.7 times as much would have been given"
    assert (rows["device_peak_reserved_bytes"] <= recommended).all()
    (largest,) = rows.index[rows["search_role"].fillna("").str.contains("largest")]
    assert largest == rows.index.max()
    assert rows.loc[largest, "device_peak_reserved_bytes"] > 0.88 * recommended


@pytest.mark.unified
def test_the_selftest_fails_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sweeps.measure.proofs.LEAK_CHECK_S", 0.2)
    gc.freeze()  # looking for a leak collects garbage time and again
    assert main(["selftest", "--device", NAME]) == 0
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.startswith("FAILED")] == []
    assert "the timer waits for the device" in told
