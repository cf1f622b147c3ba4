"""Workloads made for tests, installed as a third party's package is."""

from __future__ import annotations

from pathlib import Path


def install(site: Path, entry: str, source: str) -> Path:
    """Put a module with a workload into a folder as a package that is installed, as pip would leave it.

    Args:
        site: The folder, for PYTHONPATH; made if it is not there.
        entry: ``module:Class``; the workload's name is the module's.
        source: The module's text.
    """
    name = entry.partition(":")[0]
    info = site / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[accelsweep.workloads]\n{name} = {entry}\n")
    return site
