"""The sentences that the report on coverage begins with."""

from __future__ import annotations

import pandas as pd

from analysis.subjects.coverage.load import WORKS, is_predicted
from analysis.text import counted, escape, share, some


def answer(frame: pd.DataFrame) -> list[str]:
    """What the sweep found on each device, and what it lacks, in sentences."""
    found = []
    for device, mine in frame.groupby("device"):
        forward = mine[mine["direction"] == "forward"]
        works = forward["outcome"].isin(WORKS).groupby(forward["dtype"], sort=False).mean()
        n_operations = len(mine[["source", "operation"]].drop_duplicates())
        run, work = ("looked up", "are predicted to work") if is_predicted(mine) else ("run", "work")
        found.append(f"On {escape(device)}, of {counted(n_operations, 'operation')} {run}, these {work} forward: "
                     f"{', '.join(f'{share(part)} in {dtype}' for dtype, part in works.items())}.")  # fmt: skip
        for outcome in ("fallback", "wrong values", "crashed", "timeout"):
            names = [escape(name) for name in mine.loc[mine["outcome"] == outcome, "operation"].unique()]
            if names:
                found.append(
                    f"{counted(len(names), 'operation')} on {escape(device)} with {outcome}: {some(names, 6)}."
                )
    description = frame.attrs["description"]
    missing = description.get("n_cells", 0) - frame["operation_key"].nunique()
    if missing > 0:
        found.append(f"The sweep is not finished: {counted(missing, 'cell')} of {description['n_cells']} missing.")
    for source, why in description.get("missing_sources", {}).items():
        found.append(f"Left out: {escape(source)}: {escape(why)}.")
    if frame.attrs["unreadable"]:
        told = ", ".join(frame.attrs["unreadable"])
        found.append(f"Files that could not be read, or do not belong to the sweep, and were left out: {told}.")
    return found
