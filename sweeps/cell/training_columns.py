"""What a training's rounds come to: accuracy, seconds and joules to a target, energy without evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sweeps.measure.monitors.energy import energy_of_rounds
from sweeps.measure.timing.rates import rate_over_time

SUSTAINED_S = 3.0
"""What an energy window may add to a training that was itself shorter: three times what NVML's counter needs."""


def rate_columns(curve: Sequence[Mapping[str, Any]], n_train_items: int | None) -> dict[str, Any]:
    """Items over time of a training's rounds so far, and how many epochs they were."""
    rate = rate_over_time([entry["items"] for entry in curve], [entry["seconds"] for entry in curve])
    return {**rate, "epochs_run": sum(entry["items"] for entry in curve) / n_train_items if n_train_items else None}


def _earned(entry: Mapping[str, Any]) -> float | None:
    """A round's accuracy; None if it is unknown, or had by one answer to everything."""
    return None if entry.get("n_classes_answered") == 1 else entry.get("accuracy")


def _reached(curve: Sequence[Mapping[str, Any]], target: float | None) -> int | None:
    """The first round that holds the target accuracy, and not by one answer to everything."""
    reached = (i for i, entry in enumerate(curve) if target is not None and (_earned(entry) or 0.0) >= target)
    return next(reached, None)


def training_columns(curve: Sequence[Mapping[str, Any]], target: float | None) -> dict[str, Any]:
    """Accuracy of a training's rounds, and seconds to the target; nothing for steady work.

    Args:
        curve: The rounds in order: ``accuracy``, ``loss`` and ``elapsed_s``.
        target: The accuracy asked for, 0 to 1.
    """
    scored = [entry for entry in curve if entry.get("accuracy") is not None]
    if not scored:
        return {}
    earned = [value for entry in scored if (value := _earned(entry)) is not None]
    columns = {
        "accuracy_best": max(earned, default=None), "accuracy_final": curve[-1].get("accuracy"),
        "balanced_accuracy_final": curve[-1].get("balanced_accuracy"), "loss_final": curve[-1].get("loss"),
        "target_accuracy": target,
    }  # fmt: skip
    reached = _reached(curve, target)
    return columns if reached is None else {**columns, "time_to_target_s": curve[reached]["elapsed_s"]}


def training_energy(
    curve: Sequence[Mapping[str, Any]],
    target: float | None,
    period_s: float,
    sustained: Callable[[float], Mapping[str, float | None]],
) -> dict[str, float | None]:
    """Energy of a training without its evaluations, and joules to the target.

    Rounds too short for the counter are followed by steps in one piece, whose joules per item hold for the rounds too:
    the target's joules are then those of the items until it.

    Args:
        curve: The rounds in order: ``accuracy``, ``seconds``, ``items`` and ``energy_j``.
        target: The accuracy asked for, 0 to 1.
        period_s: Seconds between two updates of the counter; infinite where there is none.
        sustained: Columns of energy of more steps, given the longest window in seconds that is worth waiting for.
    """

    def known(rounds: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
        joules, seconds = [entry["energy_j"] for entry in rounds], [entry["seconds"] for entry in rounds]
        return energy_of_rounds(joules, seconds, sum(entry["items"] for entry in rounds), period_s)

    columns = known(curve)
    if columns["energy_j"] is None:
        columns.update(sustained(max(SUSTAINED_S, sum(entry["seconds"] for entry in curve))))
    reached = _reached(curve, target)
    if reached is None:
        return columns
    until, each = curve[: reached + 1], columns["energy_per_item_j"]
    estimated = None if each is None else each * sum(entry["items"] for entry in until)
    return {**columns, "energy_to_target_j": known(until)["energy_j"] or estimated}
