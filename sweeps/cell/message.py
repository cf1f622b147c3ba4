"""What a worker tells the driver of a cell, and on which node and device it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sweeps.store.rows import SampleBlock


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a worker is.

    Attributes:
        node_id: Ray's identifier of its node.
        device_index: Which of the node's accelerators it was given, as Ray numbers them; None where it counts none.
    """

    node_id: str | None = None
    device_index: str | None = None

    @property
    def key(self) -> str:
        """Names one device of a cluster."""
        return f"{self.node_id} {self.device_index}"


@dataclass(kw_only=True, repr=False)
class Message:
    """What a worker reports of a cell: the rounds since its last message, and the row as it stands."""

    trial_key: str
    row: dict[str, Any]
    rounds: list[dict[str, Any]] = field(default_factory=list)
    samples: list[SampleBlock] = field(default_factory=list)
    device_facts: dict[str, Any] = field(default_factory=dict)
    """What was proven and measured of the device, for the cells that follow."""
    place: Place = Place()
    longest: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the profiles table."""
    trace: bytes | None = None
    """Of one step, as it is kept."""
    is_whole: bool = False
    """Only the profile is missing from the row, which stands as it is should the profiler end the worker."""
    is_final: bool = False

    def __repr__(self) -> str:
        """Short: Tune writes every result into log lines that nobody reads, arrays of samples and all."""
        return f"Message({self.trial_key}, {len(self.rounds)} rounds{', final' if self.is_final else ''})"
