"""The proofs for accelerators find what they look for; on the CPU, which stands in for one that is sound."""

from __future__ import annotations

import pytest
import torch

from sweeps.measure import places

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["_freed_sources", "_scales_gradients", "_loader", "_names", "_system", "_decodes"])
def test_a_sound_device_passes(name: str) -> None:
    passed, told = getattr(places, name)(CPU)
    assert passed, told


def test_copies_that_arrive_spoilt_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "send", lambda tensor, _: tensor * 0)
    assert places._freed_sources(CPU) == (False, "1 of 64 copies from memory freed at once are whole")


def test_an_optimizer_that_ignores_the_scale_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.amp.GradScaler, "unscale_", lambda *_: None)
    monkeypatch.setattr(torch.amp.GradScaler, "step", lambda self, optimizer: optimizer.step())
    passed, told = places._scales_gradients(CPU)
    assert not passed
    assert "first moment 102" in told


def test_a_fallback_that_is_on_is_to_be_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    passed, told = places._settings(CPU)
    assert (passed, "PYTORCH_ENABLE_MPS_FALLBACK=1" in told) == (None, True)


def test_a_compiler_that_fails_is_told_and_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KeyError("no backend")

    monkeypatch.setattr(torch, "compile", refuse)
    assert places._compiles(CPU)[0] is None
