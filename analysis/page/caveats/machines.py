"""How many machines and versions a page's cells come from, and how far their clocks differ."""

from __future__ import annotations

import pandas as pd

VERSIONS = {
    "torch_version": "torch", "torchvision_version": "torchvision", "python_version": "Python",
    "accelsweep_version": "accelsweep", "git_commit": "this program (commits)",
}  # fmt: skip
"""What is installed on a machine, by the column that records it; drivers are listed by device."""
CLOCK_S = 0.1  # clocks that differ by less count as equal


def count_machines(frame: pd.DataFrame) -> int:
    """How many machines measured, by the name of the host and of its processor, as far as they are known."""
    return max(int(frame["host"].nunique()), len(frame[["host", "cpu_name"]].dropna().drop_duplicates()))


def of_machines(frame: pd.DataFrame) -> list[str]:
    """Sentences, not escaped, on machines, versions and clocks that differ between the cells."""
    n_machines = count_machines(frame)
    said = [f"The cells come from {n_machines} machines."] if n_machines > 1 else []
    drivers = {f"the driver of {device}": rows["driver_version"] for device, rows in frame.groupby("device", sort=True)}
    for name, values in (drivers | {name: frame[column] for column, name in VERSIONS.items()}).items():
        versions = sorted(values.dropna().astype(str).unique())
        if len(versions) > 1:
            said.append(f"The cells come from {len(versions)} versions of {name}: {', '.join(versions)}.")
    clocks = [0.0, *frame["clock_offset_s"].dropna()]  # of a cluster's nodes; a sweep on one machine compares none
    apart = max(clocks) - min(clocks)
    if apart >= CLOCK_S:
        said.append(f"The clocks of the nodes differ by up to {apart:.2g} s, and so do the times of day at which cells"
                    " began; durations do not depend on them.")  # fmt: skip
    return said
