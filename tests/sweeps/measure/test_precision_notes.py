"""A smaller type that is slower than float32 is emulated; a type that is reduced or lacking is told by what it is."""

from __future__ import annotations

import pytest
import torch

from sweeps.measure import ceilings
from sweeps.measure import precision_notes as module
from sweeps.measure.device.device import unsupported_reason
from sweeps.measure.precision_notes import needed_ceilings, precision_note, precision_notes
from workloads.precision import PRECISIONS

CPU = torch.device("cpu")


@pytest.fixture
def all_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "unsupported_reason", lambda *_: None)


@pytest.mark.usefixtures("all_supported")
def test_bf16_that_is_slower_than_fp32_is_emulated() -> None:
    told = precision_note(CPU, "bf16", {"fp32": 625.0, "bf16": 536.0})
    assert told == "bf16 is emulated, to judge by its speed: a large matrix product takes 1.2 times as long as in fp32"


@pytest.mark.usefixtures("all_supported")
@pytest.mark.parametrize(
    "rates", [{"fp32": 1.0, "bf16": 2.0}, {"fp32": 1.05, "bf16": 1.0}, {"bf16": 1.0}, {}, {"fp32": 1.0, "bf16": None}]
)
def test_bf16_that_is_no_slower_or_not_known_is_not_called_emulated(rates: dict[str, float | None]) -> None:
    assert precision_note(CPU, "bf16", rates) is None


@pytest.mark.usefixtures("all_supported")
def test_reduced_fp32_is_told_of_fp32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "reduced_float32", lambda _: "fp32 is computed with fewer bits here")
    assert precision_note(CPU, "fp32", {}) == "fp32 is computed with fewer bits here"
    assert precision_note(CPU, "tf32", {}) is None


def test_what_a_device_lacks_has_no_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "unsupported_reason", lambda *_: "lacking")
    assert precision_note(CPU, "bf16", {"fp32": 9.0, "bf16": 1.0}) is None


def test_only_lowered_precisions_are_compared_with_fp32() -> None:
    assert (needed_ceilings("fp32"), needed_ceilings("tf32")) == (("fp32",), ("tf32",))
    assert all(needed_ceilings(name) == () for name, row in PRECISIONS.items() if row.quantised)
    assert all(needed_ceilings(name) == ("fp32", name) for name, row in PRECISIONS.items() if row.lowered)


def test_this_cpu_is_noted_by_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceilings, "MAX_PRODUCTS_S", 0.0)
    notes = precision_notes(CPU)
    assert "fp32" not in notes
    assert all(name in notes[name] and unsupported_reason(CPU, name) is None for name in notes)
