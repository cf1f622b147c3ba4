"""What is proven of a device: once in a process, once in a sweep, and its ceiling once for each precision."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from sweeps.cell import device_facts
from sweeps.cell.device_facts import DeviceFacts

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_facts, "_IN_THIS_PROCESS", {})


@pytest.fixture(scope="module")
def measured() -> DeviceFacts:
    """Facts of this machine's CPU, measured for real, whatever earlier tests of this process measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_facts, "_IN_THIS_PROCESS", {})
        return DeviceFacts.of(CPU, "fp32", {})


def test_a_cpus_facts_are_measured_and_say_what_they_are(measured: DeviceFacts) -> None:
    assert measured.timing_verified
    assert measured.ceiling_bytes_per_s is not None
    assert 1e8 < measured.ceiling_bytes_per_s < 1e13
    assert set(measured.ceiling_flop_per_s) == {"fp32"}
    assert measured.ceiling_flop_per_s["fp32"] > 1e7
    assert measured.columns("fp32") == {
        "timing_verified": True, "idle_power_w": measured.idle_power_w,
        "ceiling_bytes_per_s": measured.ceiling_bytes_per_s, "ceiling_flop_per_s": measured.ceiling_flop_per_s["fp32"],
        "precision_note": None,
    }  # fmt: skip
    assert measured.columns("bf16")["ceiling_flop_per_s"] is None, "not measured yet"


def test_facts_that_an_earlier_cell_of_the_sweep_told_are_taken_as_they_are(measured: DeviceFacts) -> None:
    told = {**asdict(measured), "ceiling_bytes_per_s": 12.5}
    assert asdict(DeviceFacts.of(CPU, "fp32", told)) == told
    assert asdict(DeviceFacts.of(CPU, "fp32", {})) == told, "and known to all cells of this process from then on"
    assert DeviceFacts.of(CPU, "fp32", {**told, "ceiling_bytes_per_s": 99.0}).ceiling_bytes_per_s == 12.5


def test_a_ceiling_that_is_lacking_is_measured_for_its_precision_alone(measured: DeviceFacts) -> None:
    told = {**asdict(measured), "ceiling_flop_per_s": {"bf16": 1.5}}
    facts = DeviceFacts.of(CPU, "fp32", told)
    assert facts.ceiling_flop_per_s["bf16"] == 1.5
    assert facts.columns("bf16")["ceiling_flop_per_s"] == 1.5
    assert facts.ceiling_flop_per_s["fp32"] > 1e7
    assert facts.ceiling_bytes_per_s == measured.ceiling_bytes_per_s
