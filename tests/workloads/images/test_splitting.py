"""What is read and held out without importing scikit-learn is what it reads and holds out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import datasets
from sklearn.model_selection import train_test_split

from workloads.images.labelled import load_digits
from workloads.images.splitting import split

RNG = np.random.default_rng(0)
LABELS = {
    "even": np.arange(1797) % 10,
    "uneven": RNG.choice(7, size=333, p=np.arange(1, 8) / 28),
    "small": np.arange(10) % 2,
    "a class that is missing": RNG.choice([0, 1, 3], size=50),
    "one of one item": np.array([0] * 20 + [1]),
    "more classes than are held out": np.arange(24) % 12,
    "two items": np.array([0, 1]),
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_it_is_what_scikit_learn_holds_out(labels: np.ndarray) -> None:
    counts = np.bincount(labels)
    is_by_class = counts[counts > 0].min() >= 2 and len(labels) * 0.2 >= len(counts)
    for seed in range(20):
        theirs = train_test_split(
            np.arange(len(labels)), test_size=0.2, stratify=labels if is_by_class else None, random_state=seed
        )
        ours = split(labels, 0.2, seed)
        assert [part.tolist() for part in ours] == [part.tolist() for part in theirs]
        assert not is_by_class or all(set(labels[part]) == set(labels) for part in ours)


def test_the_digits_are_scikit_learns() -> None:
    theirs, (train, heldout) = datasets.load_digits(), split(datasets.load_digits().target, 0.2, 3)
    ours = load_digits(8, seed=3)
    pixels = torch.from_numpy(theirs.images * 255 / 16).round().to(torch.uint8)[:, None].expand(-1, 3, -1, -1)
    assert ours.classes == tuple(map(str, theirs.target_names))
    assert torch.equal(ours.train, pixels[train])
    assert torch.equal(ours.heldout, pixels[heldout])
    assert (ours.train_labels.tolist(), ours.heldout_labels.tolist()) == (
        theirs.target[train].tolist(), theirs.target[heldout].tolist(),
    )  # fmt: skip
