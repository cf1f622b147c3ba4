"""What a pruner is told of rounds, by hand."""

from __future__ import annotations

import math

import pytest

from analysis.contract.objectives import OBJECTIVES, PRUNE_ON, memory_bytes, told_values


def test_a_running_estimate_is_the_best_round_and_the_median_of_joules() -> None:
    rounds = [{"throughput_items_per_s": v, "seconds": 1.0, "items": v, "energy_j": None} for v in (10.0, 30.0, 11.0)]
    assert told_values("throughput", rounds, 1, running=True) == {1: 10.0, 2: 30.0, 3: 30.0}
    assert told_values("latency", rounds, 30, running=True) == {1: 3.0, 2: 1.0, 3: 1.0}
    joules = [{**entry, "energy_j": entry["items"] * j} for entry, j in zip(rounds, (3.0, 1.0, 1.5), strict=True)]
    assert told_values("energy_per_item", joules, 1, running=True) == {1: 3.0, 2: 2.0, 3: 1.5}
    assert told_values("throughput", rounds, 1, running=False) == {1: 10.0, 2: 30.0, 3: 11.0}
    assert told_values("latency", rounds, 5, running=False)[1] == pytest.approx(0.5)
    assert told_values("energy_per_item", rounds, 1, running=True) == {}


def test_a_round_without_the_figure_is_not_told_and_keeps_its_number() -> None:
    accuracies = [0.1, None, math.nan, 0.4]
    assert told_values("accuracy", [{"accuracy": a} for a in accuracies], 1, running=True) == {1: 0.1, 4: 0.4}
    assert set(PRUNE_ON) == {name for name in OBJECTIVES if name != "memory"}


def test_one_answer_to_everything_is_told_as_chance() -> None:
    """A pruner keeps what learns over what names the largest class, however large it is."""
    one = {"accuracy": 0.97, "balanced_accuracy": 0.5, "n_classes_answered": 1}
    rounds = [one, {"accuracy": 0.8, "balanced_accuracy": 0.7, "n_classes_answered": 2}]
    assert told_values("accuracy", rounds, 1, running=True) == {1: 0.5, 2: 0.8}
    assert told_values("accuracy", [{**one, "balanced_accuracy": None}], 1, running=True) == {}


def test_memory_is_what_decides_whether_a_cell_fits() -> None:
    row = {"device_peak_reserved_bytes": 3.0, "device_peak_allocated_bytes": 2.0, "peak_rss_bytes": 1.0}
    assert memory_bytes(row) == 3
    assert memory_bytes({**row, "device_peak_reserved_bytes": math.nan}) == 2
    assert memory_bytes({"peak_rss_bytes": 1, "device_peak_allocated_bytes": None}) == 1
    assert memory_bytes({}) is None


@pytest.mark.parametrize("learned", ["one class only", "nothing"])
def test_the_accuracy_of_what_was_not_learned_is_none(learned: str) -> None:
    accuracy = OBJECTIVES["accuracy"].of_row
    assert accuracy({"accuracy_best": 0.97, "learned": learned}) is None
    assert accuracy({"accuracy_best": 0.97, "learned": None}) == accuracy({"accuracy_best": 0.97}) == 0.97
