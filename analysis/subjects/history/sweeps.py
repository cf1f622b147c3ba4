"""The sweeps of results folders in the order in which they were made, each with its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.cells.identity import with_identity
from analysis.cells.pooling import with_runs_pooled
from analysis.contract.parts import DESCRIPTION
from analysis.read.published import PUBLISHED
from analysis.read.sweep import AnalysisError, load_description
from analysis.read.sweeps import load_sweeps, names

VERSIONS = ("torch_version", "torchvision_version", "driver_version", "accelsweep_version", "git_commit",
            "device_name", "cpu_name")  # fmt: skip
"""What may have made a cell slower, in the order in which it is named; of one machine another device or name of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sweep:
    """A sweep: its folder or file, when it was made (ISO 8601, or empty), and its cells, the runs of each as one."""

    folder: Path
    created_at: str
    cells: pd.DataFrame

    @property
    def name(self) -> str:
        return names([self.folder])[0]

    @property
    def day(self) -> str:
        """The date and the minute of its making."""
        return self.created_at[:16].replace("T", " ")

    def version(self, column: str) -> str:
        """The versions that measured, joined where there are several; empty where unknown."""
        return ", ".join(sorted(self.cells[column].dropna().astype(str).unique()))


def all_sweeps(paths: Sequence[str | Path]) -> tuple[list[Sweep], list[str]]:
    """Every sweep that lies in the folders, or is one of the paths, oldest first; and in words those not readable.

    AnalysisError if there is none at all.
    """
    folders: dict[Path, Path] = {}
    for path in map(Path, paths):
        inside = sorted({file.parent for name in (DESCRIPTION, PUBLISHED) for file in path.glob(f"*/{name}")})
        is_one = path.is_file() or (path / "trials").is_dir() or (path / PUBLISHED).is_file()
        for folder in inside or ([path] if is_one else []):
            folders.setdefault(folder.resolve(), folder)
    found, lost = [], []
    for folder in folders.values():
        try:
            sweep, unreadable = _read(folder)
            found.append(sweep)
            lost += [f"{folder.name}: {name} cannot be read" for name in unreadable]
        except AnalysisError as error:
            lost.append(f"{folder.name}: {error}")
    if not found:
        shown = ", ".join(repr(str(path)) for path in paths)
        raise AnalysisError(f"{shown} contains no sweep; run one with `accelsweep finetune`, or name its folder")
    return sorted(found, key=lambda sweep: (sweep.created_at, sweep.name)), lost


def _read(folder: Path) -> tuple[Sweep, list[str]]:
    """A sweep, and the names of its files that are left out."""
    description = load_description(folder)
    trials = load_sweeps([folder], (*VERSIONS, "rate_per_s", "started_at"))
    cells = with_identity(with_runs_pooled(trials))
    began = trials["started_at"].dropna()
    created_at = str(description.get("created_at") or ("" if began.empty else pd.Timestamp(began.min()).isoformat()))
    return Sweep(folder=folder, created_at=created_at, cells=cells), trials.attrs["unreadable"]
