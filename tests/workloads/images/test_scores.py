"""Scores of answers: balanced accuracy, and what was learned."""

from __future__ import annotations

import pytest
import torch

from workloads.images.scores import NO_ANSWER, scored


def test_one_class_for_everything_is_as_good_as_its_share_and_balanced_as_guessing() -> None:
    score = scored(torch.zeros(60, dtype=torch.int64), torch.tensor([0] * 58 + [1] * 2), 2)
    assert score.accuracy == pytest.approx(58 / 60)
    assert (score.balanced, score.n_answered, score.learned) == (0.5, 1, "one class only")
    assert score.columns == {"accuracy": score.accuracy, "balanced_accuracy": 0.5, "n_classes_answered": 1}


@pytest.mark.parametrize(
    ("n_right", "learned"), [(0, "nothing"), (50, "nothing"), (59, "nothing"), (61, None), (100, None)]
)
def test_no_better_than_guessing_is_nothing(n_right: int, learned: str | None) -> None:
    labels = torch.arange(100) % 2
    answers = torch.where(torch.arange(100) < n_right, labels, 1 - labels)
    assert scored(answers, labels, 2).learned == learned


def test_no_answer_is_no_class_and_never_right() -> None:
    score = scored(torch.tensor([NO_ANSWER] * 4), torch.tensor([0, 1, 0, 1]), 2)
    assert (score.accuracy, score.balanced, score.n_answered, score.learned) == (0.0, 0.0, 0, "nothing")


def test_classes_that_are_not_held_out_do_not_count() -> None:
    score = scored(torch.tensor([1, 1, 2, 0]), torch.tensor([1, 1, 2, 2]), 5)
    assert (score.balanced, score.n_classes) == (0.75, 2)
    alone = scored(torch.tensor([1, 1]), torch.tensor([1, 1]), 5)
    assert (alone.accuracy, alone.balanced, alone.learned) == (1.0, 1.0, "one class only")
