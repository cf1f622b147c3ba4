"""How well a classifier answers: accuracy, that of each class alike, and whether it has learned anything."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

NO_ANSWER = -1
"""In the place of a class where the scores are not finite."""
N_STANDARD_ERRORS = 2.0
HELD_OUT_BATCH = 90


@dataclass(frozen=True, kw_only=True)
class Score:
    """What answers to held-out images come to.

    Attributes:
        accuracy: Share of right answers.
        balanced: Mean over the classes that are held out of each one's share of right answers; that of answering one
            class to everything is one over the number of classes, however many images the class has.
        n_answered: Classes among the answers.
        n_classes: Classes that are held out.
        n: Images.
    """

    accuracy: float
    balanced: float
    n_answered: int
    n_classes: int
    n: int

    @property
    def columns(self) -> dict[str, float]:
        """Columns of the rounds table."""
        return {
            "accuracy": self.accuracy, "balanced_accuracy": self.balanced, "n_classes_answered": self.n_answered,
        }  # fmt: skip

    @property
    def learned(self) -> str | None:
        """What is wrong with what was learned, to be said after ``learned``; None if nothing is.

        Guessing gets a class right once in as many times as there are classes; two standard errors of so many images
        above it are no better.
        """
        if self.n_answered == 1:
            return "one class only"  # also where no other is held out: nothing shows that it knows one
        if self.n_classes < 2:
            return None
        chance = 1 / self.n_classes
        error = math.sqrt(chance * (1 - chance) / self.n)
        return "nothing" if not self.balanced > chance + N_STANDARD_ERRORS * error else None


def scored(answers: torch.Tensor, labels: torch.Tensor, n_classes: int) -> Score:
    """The score of answers.

    Args:
        answers: int64, n classes or ``NO_ANSWER``, on the CPU.
        labels: int64, n.
        n_classes: Classes that there are.
    """
    is_right = answers == labels
    n_each = torch.bincount(labels, minlength=n_classes)
    n_right = torch.bincount(labels[is_right], minlength=n_classes)
    there = n_each > 0
    return Score(
        accuracy=float(is_right.double().mean()),
        balanced=float((n_right[there].double() / n_each[there]).mean()),
        n_answered=len(answers[answers != NO_ANSWER].unique()),
        n_classes=int(there.sum()),
        n=len(labels),
    )


def held_out(
    scores_of: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, labels: torch.Tensor, n_classes: int,
) -> tuple[Score, float]:  # fmt: skip
    """What a network answers to held-out images, and its mean cross entropy.

    Args:
        scores_of: Gives float32 scores, items x classes, of images as they are kept.
        images: uint8, on the device.
        labels: int64, on the device.
        n_classes: How many there are.
    """
    loss, answers = 0.0, []
    for part, its_labels in zip(images.split(HELD_OUT_BATCH), labels.split(HELD_OUT_BATCH), strict=True):
        found = scores_of(part)
        # The best class of NaN is class 0, which is no answer.
        answers.append(torch.where(found.isfinite().all(1), found.argmax(1), NO_ANSWER))
        loss += float(torch.nn.functional.cross_entropy(found, its_labels, reduction="sum"))
    return scored(torch.cat(answers).cpu(), labels.cpu(), n_classes), loss / len(labels)
