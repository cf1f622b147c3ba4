"""Which items are trained on and which are held out: those that scikit-learn's ``train_test_split`` would tell apart.

Importing that takes a second of a core, of every process that trains; and no release of it changes what is held out.
"""

from __future__ import annotations

import math

import numpy as np


def split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the items to train on and of those to hold out, each in random order.

    Every class is in both where it has enough items: each at least two, and as many are held out as there are classes.

    Args:
        labels: int64, n.
        share: Of all items, to be held out; rounded up.
        seed: Of what is drawn.
    """
    rng = np.random.RandomState(seed)  # as scikit-learn draws
    n_heldout, counts = math.ceil(share * len(labels)), np.bincount(labels)
    there = counts[counts > 0]
    if there.min() < 2 or share * len(labels) < len(counts):
        order = rng.permutation(len(labels))
        return order[n_heldout:], order[:n_heldout]
    n_train = _drawn(there, len(labels) - n_heldout, rng)
    ends = n_train + _drawn(there - n_train, n_heldout, rng)
    by_class = np.split(np.argsort(labels, kind="stable"), np.cumsum(there)[:-1])
    mixed = [items[rng.permutation(len(items))] for items in by_class]
    train = [items[:n] for items, n in zip(mixed, n_train, strict=True)]
    heldout = [items[n:end] for items, n, end in zip(mixed, n_train, ends, strict=True)]
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(heldout))


def _drawn(counts: np.ndarray, n: int, rng: np.random.RandomState) -> np.ndarray:
    """How many of each class are among ``n`` of all: its share rounded down, and one more where most was cut off.

    Source: scikit-learn's ``_approximate_mode`` (``sklearn.utils.extmath``), the likeliest of such draws; of equals
    it is drawn which.
    """
    exact = counts / counts.sum() * n
    drawn = np.floor(exact)
    cut_off, n_missing = exact - drawn, int(n - drawn.sum())
    for value in np.unique(cut_off)[::-1]:
        if n_missing <= 0:
            break
        (equals,) = np.nonzero(cut_off == value)
        n_more = min(len(equals), n_missing)
        drawn[rng.choice(equals, size=n_more, replace=False)] += 1
        n_missing -= n_more
    return np.asarray(drawn, dtype=np.int64)
