"""Operations made for tests from real torch functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

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

    def samples(self, dtype: str) -> Iterator[Sample]:
        generator = torch.Generator().manual_seed(0)
        for shape in self.shapes:
            data = torch.randn(shape, generator=generator).to(DTYPES[dtype])
            yield Sample(function=self.function, args=(data.requires_grad_(self.requires_grad),))

    def tolerance(self, dtype: str, device_type: str) -> Tolerance:
        return DEFAULT_TOLERANCES[dtype].loosest(Tolerance(absolute=1e-3, relative=1e-3))
