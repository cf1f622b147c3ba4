"""A network of a cell, run by another runtime than PyTorch as if it were a module."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch

from workloads.base import CellContext, SetupFacts, UnsupportedError
from workloads.models.calls.answers import Answers
from workloads.models.calls.flat import Flat
from workloads.models.calls.inputs import Inputs
from workloads.models.runtimes import table
from workloads.models.runtimes.base import N_CALIBRATED, Asked
from workloads.precision import PRECISIONS

_OWN = {"memory_format": "contiguous", "compile": "none"}
"""Axes of a cell that say how PyTorch runs a network, with the value that stands for nothing said."""


@dataclass(frozen=True, kw_only=True)
class RuntimeFacts(SetupFacts):
    """With what a row records of another runtime: see ``base.Ran``."""

    runtime_version: str
    provider: str
    nodes_by_provider: str
    runtime_settings: str
    convert_s: float
    session_s: float


def check_its_own(name: str, context: CellContext, implementation: str) -> None:
    """UnsupportedError for settings of PyTorch's, which mean nothing to another runtime."""
    asked = {axis: getattr(context, axis) for axis in _OWN} | {"implementation": implementation}
    usual = _OWN | {"implementation": "eager"}
    told = [f"--{axis.replace('_', '-')} {value}" for axis, value in asked.items() if value != usual[axis]]
    if told:
        raise UnsupportedError(f"{name} lays out, fuses and compiles a network by itself; {', '.join(told)} is torch's")


class Elsewhere:
    """A network through another runtime.

    Args:
        name: Of the runtime.
        module: In evaluation mode, on the CPU, in float32.
        batch: Its input, of the shape that every batch will have.
        calibration: So many other items, for a quantiser.
        context: The cell's.

    Raises:
        UnsupportedError: See ``table.open_session``.
    """

    def __init__(
        self,
        name: str,
        module: torch.nn.Module,
        batch: Inputs,
        calibration: Callable[[int], Inputs],
        context: CellContext,
    ) -> None:
        size = len(batch)
        n = -(-N_CALIBRATED // size) * size  # whole batches, as sessions take no others
        flat = Flat(module, batch).eval()
        self._names = flat.names
        asked = Asked(
            network=flat, examples=batch.tensors, device=context.device,
            precision=context.precision, n_threads=torch.get_num_threads(),
            calibration=lambda: [part.tensors for part in calibration(n).split(size)],
        )  # fmt: skip
        self._session = table.open_session(name, asked)
        is_quantised = PRECISIONS[context.precision].quantised is not None
        self._version = table.RUNTIMES[name].version(is_quantised=is_quantised)
        self.takes, self.types = self._session.takes, self._session.ran.types

    def __call__(self, batch: Inputs) -> Answers:
        """The network's outputs by name."""
        return dict(zip(self._names, self._session.run(*batch.tensors), strict=True))

    def with_facts(self, facts: SetupFacts) -> RuntimeFacts:
        """What a row records of the cell's set-up, and of the runtime."""
        ran = {f.name: getattr(self._session.ran, f.name) for f in dataclasses.fields(self._session.ran)}
        del ran["types"]
        return RuntimeFacts(**vars(facts), **ran, runtime_version=self._version)
