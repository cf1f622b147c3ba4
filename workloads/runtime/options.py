"""A workload's own options: which are axes, which are constants, and those that the harness looks for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


def axes_of(options: Any) -> dict[str, tuple[Any, ...]]:
    """The axes among a workload's options: every field whose value is a tuple."""
    return {f.name: v for f in dataclasses.fields(options) if isinstance(v := getattr(options, f.name), tuple)}


def constants_of(options: Any) -> dict[str, Any]:
    """The options that are the same in every cell: every field whose value is not a tuple."""
    return {f.name: v for f in dataclasses.fields(options) if not isinstance(v := getattr(options, f.name), tuple)}


@dataclass(frozen=True, kw_only=True)
class NoOptions:
    """For workloads without options of their own."""


@runtime_checkable
class LatencyLimited(Protocol):
    """Options of a workload that have a limit of their own for the latency of a step."""

    max_latency_ms: float | None
    """Milliseconds; None for no limit."""
