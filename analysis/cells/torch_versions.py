"""What is known to be wrong in versions of PyTorch older than the one asked for, where a sweep may have met it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from analysis.cells.naming import equals, out_of
from analysis.text import listed

OLDEST = (2, 14)
"""The oldest version that ``pyproject.toml`` allows."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of every version before one.

    Attributes:
        before: The first version without it.
        concerns: The cells whose figures may be wrong by it.
        said: What to say after their number.
    """

    before: tuple[int, int]
    concerns: Callable[[pd.DataFrame], pd.Series]
    said: str


def _unproven(frame: pd.DataFrame) -> pd.Series:
    """Cells compiled under autocast whose products nobody saw."""
    return (frame["compile_s"].notna() & frame["precision"].isin(["bf16", "fp16"]) & frame["computed_dtype"].isna()
            & frame["model"].notna() & ~equals(frame, "model", "none"))  # fmt: skip


def _fused_adamw(frame: pd.DataFrame) -> pd.Series:
    is_mac = frame["os"].fillna("").astype(str).str.contains("macOS|Darwin")
    return (
        is_mac & (frame["device"] != "cpu") & equals(frame, "workload", "finetune") & equals(frame, "precision", "fp16")
    )


FAULTS = (
    Fault(
        before=(2, 14), concerns=_unproven,
        said="compiled under autocast without proof of the type they computed in: the compiler's cache did not"
        " distinguish autocast's types, and may have served one precision's code to another"
        " (PyTorch's pull request 181564)",
    ),
    Fault(
        before=(2, 14), concerns=_fused_adamw,
        said="trained in fp16 by fused AdamW, which ignored the gradients' scale on Apple GPUs",
    ),
)  # fmt: skip
"""THE table of them."""


def _version(text: object) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", str(text))
    return (int(found[1]), int(found[2])) if found else None


def old_torch(frame: pd.DataFrame) -> list[str]:
    """The versions older than ``OLDEST`` that measured, and the cells that a known fault of them concerns."""
    versions = frame["torch_version"].map(_version)
    is_old = versions.map(lambda version: version is not None and version < OLDEST).astype(bool)
    if not is_old.any():
        return []
    names = listed(sorted(frame.loc[is_old, "torch_version"].astype(str).unique()))
    said = [f"Measured with torch {names}, older than the {OLDEST[0]}.{OLDEST[1]} that accelsweep asks for."]
    for fault in FAULTS:
        before = versions.map(lambda version, fault=fault: version is not None and version < fault.before)
        concerned = fault.concerns(frame) & before.astype(bool)
        if concerned.any():
            was = "was" if concerned.sum() == 1 else "were"
            said.append(f"{out_of(concerned)} {was} {fault.said}.")
    return [" ".join(said)]
