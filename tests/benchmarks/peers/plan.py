"""What is measured: the cells of each part, and how often, for a CPU and for an accelerator."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

MODEL = "resnet50"
BYTES_PER_ITEM = 7.0e6
"""Peak of a ResNet-50's forward pass per image in fp32: the input, and the first convolution's output twice."""
GRID, DEFAULTS, AGREEMENT, MEMORY, MISSING = "grid", "defaults", "agreement", "out-of-memory", "missing-device"
PARTS = (GRID, DEFAULTS, AGREEMENT, MEMORY, MISSING)


def cell(batch_size: int, precision: str, memory_format: str) -> dict[str, Any]:
    return {"batch_size": batch_size, "precision": precision, "memory_format": memory_format}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Cells and counts.

    Attributes:
        batch_sizes: Of the grid, as are ``precisions`` and ``memory_formats``; 6 x 2 x 2 cells.
        n_warmup: Steps before the timed ones, where a tool lets one choose.
        n_steps: Timed steps of each cell of the grid and of each turn.
        our_grid_options: What makes ``accelsweep`` take at least ``n_steps`` steps of a cell and then stop.
        agreement: Cells measured in turns with the reference loop.
        n_turns: Turns of each of them.
        n_single_turns: Turns of those of one item: on an accelerator the host bounds them, whose times vary most.
        default_cell: The cell for which each tool takes its own settings.
        too_large: Items of the cell that does not fit in memory.
        address_space_bytes: Limit beyond what the process has, on the CPU; None on an accelerator.
        n_isolated: Cells given to optimum-benchmark's process launcher.
    """

    batch_sizes: tuple[int, ...]
    precisions: tuple[str, ...]
    memory_formats: tuple[str, ...] = ("contiguous", "channels_last")
    n_warmup: int
    n_steps: int
    our_grid_options: tuple[str, ...]
    agreement: tuple[dict[str, Any], ...]
    n_turns: int
    n_single_turns: int
    default_cell: dict[str, Any]
    too_large: int
    address_space_bytes: int | None
    n_isolated: int = 2

    @property
    def grid(self) -> list[dict[str, Any]]:
        return [cell(*axes) for axes in itertools.product(self.batch_sizes, self.precisions, self.memory_formats)]

    def part(self, name: str, missing_device: str) -> dict[str, Any]:
        """What an adapter is asked for one part."""
        counts = {
            "n_warmup": self.n_warmup,
            "n_steps": self.n_steps,
            "n_turns": self.n_turns,
            "n_single_turns": self.n_single_turns,
        }
        small = cell(1, "fp32", "contiguous")
        asked: dict[str, Any] = {
            GRID: {"cells": self.grid},
            DEFAULTS: {"cells": [self.default_cell]},
            AGREEMENT: {"cells": list(self.agreement)},
            MEMORY: {
                "cells": [small, cell(self.too_large, "fp32", "contiguous"), small],
                "address_space_bytes": self.address_space_bytes, "n_warmup": 1, "n_steps": 2,
            },
            MISSING: {"cells": [small], "device": missing_device, "n_warmup": 1, "n_steps": 2},
        }[name]  # fmt: skip
        return {"name": name, **counts, **asked}


def plan_for(device: str, memory_bytes: int, *, is_quick: bool) -> Plan:
    """The plan of a device; ``quick`` shows that everything runs and says nothing about speed."""
    if device == "cpu":
        return Plan(
            batch_sizes=(1,) if is_quick else (1, 2, 3, 4, 5, 6),
            precisions=("fp32", "bf16"),
            n_warmup=1,
            n_steps=2 if is_quick else 5,
            our_grid_options=("--min-rounds", "2" if is_quick else "5", "--min-s", "0.1", "--max-s", "0.1"),
            agreement=(cell(1, "fp32", "contiguous"),)
            if is_quick
            else (cell(1, "fp32", "contiguous"), cell(4, "fp32", "contiguous"), cell(4, "bf16", "channels_last")),
            n_turns=2 if is_quick else 24,
            n_single_turns=2 if is_quick else 24,
            default_cell=cell(1, "fp32", "contiguous") if is_quick else cell(4, "fp32", "contiguous"),
            too_large=512,
            address_space_bytes=3 * 2**29,
        )
    return Plan(
        batch_sizes=(1, 8) if is_quick else (1, 8, 32, 64, 128, 256),
        precisions=("bf16", "fp16"),
        n_warmup=5,
        n_steps=20,
        our_grid_options=("--min-rounds", "2", "--min-s", "0.1", "--max-s", "0.4"),
        agreement=(cell(1, "bf16", "contiguous"),)
        if is_quick
        else (
            cell(1, "bf16", "contiguous"),
            cell(64, "fp32", "contiguous"),
            cell(256, "bf16", "channels_last"),
        ),
        n_turns=2 if is_quick else 12,
        n_single_turns=2 if is_quick else 60,
        default_cell=cell(64, "bf16", "contiguous"),
        too_large=int(1.15 * memory_bytes / BYTES_PER_ITEM),
        address_space_bytes=None,
        n_isolated=1,
    )
