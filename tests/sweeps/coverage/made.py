"""Operations made for tests from real torch functions, and a coverage sweep of which nothing is left to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sweeps.coverage.options import OperationCoverage
from sweeps.coverage.plan import OperationCell
from sweeps.coverage.store import CoverageStore
from workloads.operations.base import DEFAULT_TOLERANCES, DTYPES, Sample, Tolerance


@dataclass(frozen=True, kw_only=True)
class MadeOperation:
    """An operation that calls a function on normal numbers of the given shapes."""

    function: Callable[..., Any]
    shapes: Sequence[tuple[int, ...]] = ((4, 3), (2, 5))
    requires_grad: bool = True
    name: str = "made"
    source: str = "database"
    family: str = "tests"
    dtypes: Sequence[str] = ("fp32", "fp16")
    not_compared: str | None = None
    n_positions: int = 1

    def samples(self, dtype: str) -> Iterator[Sample]:
        generator = torch.Generator().manual_seed(0)
        for shape in self.shapes:
            data = torch.randn(shape, generator=generator).to(DTYPES[dtype])
            yield Sample(function=self.function, args=(data.requires_grad_(self.requires_grad),))

    def tolerance(self, dtype: str, device_type: str) -> Tolerance:
        return DEFAULT_TOLERANCES[dtype].loosest(Tolerance(absolute=1e-3, relative=1e-3))


def all_told(results: Path) -> CoverageStore:
    """A sweep ``s1`` of one cell, which was recorded without being run."""
    cell = OperationCell(source="transforms", operation="made", family="tests", dtype="fp32", device="cpu")
    options = {**asdict(OperationCoverage(timing=False)), "output": None}
    asked = {"options": options, "n_cells": 1, "cells": [cell.as_dict()], "command": ["accelsweep", "op-coverage"]}
    results.mkdir(parents=True, exist_ok=True)
    store = CoverageStore.create(results / "s1", asked, {})
    store.record([{**cell.columns, "direction": "forward", "verdict": "supported"}])
    return store
