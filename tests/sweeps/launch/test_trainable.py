"""A cell as Tune's trainable steps through it; no Ray is started, and what measures is made up."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.cell.message import Message
from sweeps.launch import trainable
from sweeps.launch.trainable import CellTrial, UncleanWorkerError


def trial(cooldown_s: float, *, ended_well: bool) -> CellTrial:
    """A trial whose cell is measured in one go."""
    made = CellTrial.__new__(CellTrial)
    made._measure = SimpleNamespace(cooldown_s=cooldown_s, report_every_s=1.0)  # type: ignore[assignment]
    last = Message(trial_key="k", row={"status": "complete"}, is_final=True)
    made._run = SimpleNamespace(  # type: ignore[assignment]
        is_finished=True, ended_well=ended_well, take_message=lambda: last, close=lambda: None
    )
    return made


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr(trainable, "end_children", lambda: None)
    return seconds


def step(made: CellTrial) -> tuple[bool, bool]:
    """Whether a step tells the whole row, and whether it is the last."""
    told: dict[str, Any] = made.step()
    return "message" in told, told["done"]


def test_a_row_is_told_before_the_pause_that_follows_it(slept: list[float]) -> None:
    made = trial(60.0, ended_well=True)
    assert (step(made), slept) == ((True, False), [])
    assert (step(made), slept) == ((False, True), [60.0])


def test_without_a_pause_the_row_is_the_end(slept: list[float]) -> None:
    assert (step(trial(0.0, ended_well=True)), slept) == ((True, True), [])


def test_a_worker_that_is_unfit_for_another_cell_says_so_after_its_row(slept: list[float]) -> None:
    made = trial(0.0, ended_well=False)
    assert step(made) == (True, False)
    with pytest.raises(UncleanWorkerError):
        made.step()
