"""The roofline model (Williams, Waterman, Patterson 2009) in numbers, with ceilings measured in the same sweep.

A step of so many FLOPs per byte can do at most the smaller of the device's FLOP/s and its bandwidth times that
intensity; which of the two is smaller is the limit that binds. No drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.cells.groups import Group, groups, machine_columns
from analysis.cells.rows import complete
from analysis.stats.estimate import known

COLUMNS = ("flops_per_step", "bytes_per_step", "achieved_flop_per_s", "achieved_bytes_per_s", "ceiling_flop_per_s",
           "ceiling_bytes_per_s", "compile_s", "limits_note", "flop_share_ratio", "bandwidth_share_ratio",
           "intensity_flop_per_byte", "batch_size", "step_median_s", "step_median_low_s",
           "step_median_high_s")  # fmt: skip
CEILINGS = ("ceiling_flop_per_s", "ceiling_bytes_per_s")
COMPUTE, BANDWIDTH = "compute", "bandwidth"


@dataclass(frozen=True, kw_only=True)
class Roof:
    """The two ceilings of one device in one precision; None where unknown."""

    group: Group
    flop_per_s: float | None  # of a large matrix product
    bytes_per_s: float | None  # of a large copy, read plus written

    @property
    def ridge_flop_per_byte(self) -> float | None:
        """The intensity from which on FLOP/s binds."""
        return None if self.flop_per_s is None or self.bytes_per_s is None else self.flop_per_s / self.bytes_per_s

    def attainable(self, intensity: float) -> float:
        """FLOP/s at most at an intensity in FLOP/B; NaN with no ceiling known."""
        slope = np.inf if self.bytes_per_s is None else self.bytes_per_s * intensity
        flat = np.inf if self.flop_per_s is None else self.flop_per_s
        return float(np.nan if slope == flat == np.inf else min(slope, flat))


def placed(frame: pd.DataFrame) -> pd.DataFrame:
    """The complete cells that have a place under a roof: what they achieve and their intensity are known.

    A ceiling is the best that was seen, so of several measurements of one machine's device in one precision the
    highest counts for all its cells; in a single sweep they are the same.

    Returns:
        Ceilings and shares as said, a share over 1 null; added: ``attainable_flop_per_s`` (NaN where a ceiling is
        unknown), ``binding`` (compute or bandwidth, null where a ceiling is unknown), ``reached_ratio``, what the cell
        achieves of what is attainable, null where ``is_above_roof``, and ``ceiling_spread_ratio``, the highest over the
        lowest measurement of the ceilings.
    """
    cells = complete(frame)
    cells = cells[cells["achieved_flop_per_s"].notna() & cells["intensity_flop_per_byte"].notna()]
    numbers = ("achieved_flop_per_s", "intensity_flop_per_byte", "achieved_bytes_per_s", *CEILINGS)
    cells = cells.astype(dict.fromkeys(numbers, "float64")).copy()  # in one piece, as columns are added
    measured = cells.groupby(roof_columns(cells), sort=False, dropna=False)[list(CEILINGS)]
    top = measured.transform("max")
    flat, slope = top["ceiling_flop_per_s"], top["ceiling_bytes_per_s"] * cells["intensity_flop_per_byte"]
    attainable = np.minimum(flat, slope)  # NaN if either is
    binding = pd.Series(np.where(slope < flat, BANDWIDTH, COMPUTE), index=cells.index, dtype="object")
    reached = cells["achieved_flop_per_s"] / attainable
    shares = {
        "flop_share_ratio": cells["achieved_flop_per_s"] / flat,
        "bandwidth_share_ratio": cells["achieved_bytes_per_s"] / top["ceiling_bytes_per_s"], "reached_ratio": reached,
    }  # fmt: skip
    return cells.assign(
        **{name: share.mask(share > 1) for name, share in shares.items()},
        is_above_roof=reached > 1,
        **{name: top[name] for name in CEILINGS},
        attainable_flop_per_s=attainable, binding=binding.where(attainable.notna(), None),
        ceiling_spread_ratio=(top / measured.transform("min")).max(axis=1),
    )  # fmt: skip


def roof_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that name a roof: machine, device and precision."""
    return [*machine_columns(frame), "device", "precision"]


def roofs(cells: pd.DataFrame) -> list[Roof]:
    """One roof for each machine, device and precision of cells of ``placed``."""
    return [
        Roof(group=group, flop_per_s=known(group.row[CEILINGS[0]]), bytes_per_s=known(group.row[CEILINGS[1]]))
        for group in groups(cells, roof_columns(cells))
    ]


def unplaced(frame: pd.DataFrame) -> dict[str, int]:
    """How many complete cells have no place under a roof, by the reason; those that occur."""
    done = complete(frame)
    missing = done[done["achieved_flop_per_s"].isna() | done["intensity_flop_per_byte"].isna()]
    # Some implementations are compiled whatever the mode; they have a compilation all the same.
    compiled = (missing["compile"].notna() & (missing["compile"] != "none")) | missing["compile_s"].notna()
    counted, moved = missing["flops_per_step"].notna(), missing["bytes_per_step"].notna()
    reasons = {
        "compiled": ~counted & compiled, "not counted": ~counted & ~compiled,
        "bytes hidden": counted & ~moved & compiled, "bytes unknown": counted & ~moved & ~compiled,
        "no step time": counted & moved,
    }  # fmt: skip
    return {reason: int(of.sum()) for reason, of in reasons.items() if of.any()}
