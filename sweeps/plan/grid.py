"""The combinations of a grid's axes, less those that an axis says nothing of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LATER_OPTIONS = {"parallel": "ddp", "runtime": "torch"}
"""Options that workloads got later, with what was always done: cells that say no more keep the keys they had."""
OF_SEVERAL = ("parallel",)
"""Options that say something of cells on several devices only."""
OF_THE_CPU = ("threads", "allocator")
"""Axes that say something of cells on the CPU only."""


def combinations(
    axes: Mapping[str, Sequence[Any]], option_axes: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The product of the axes in their order, each combination once: values of ``axes``, and of ``option_axes``.

    Args:
        axes: All of them by name, those of the workload's own options among them.
        option_axes: Which those are.
    """
    for values in itertools.product(*axes.values()):
        common = dict(zip(axes, values, strict=True))
        own = {name: common.pop(name) for name in option_axes}
        if common["device"] != "cpu":
            if any(common[name] != axes[name][0] for name in OF_THE_CPU):
                continue
            common |= dict.fromkeys(OF_THE_CPU)
        if common["n_devices"] == 1:  # how devices share the work says nothing of one
            if any(own[name] != option_axes[name][0] for name in OF_SEVERAL if name in own):
                continue
            own |= {name: LATER_OPTIONS[name] for name in OF_SEVERAL if name in own}
        yield common, own
