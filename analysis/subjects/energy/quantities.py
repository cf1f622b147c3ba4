"""Energy in numbers: what an item costs, what of it is idling, and which cells are worth their energy. No drawing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells import usable
from analysis.cells.groups import groups, machine_columns, task_columns
from analysis.cells.naming import label
from analysis.cells.ranking import Ranking, plain, rank, speed
from analysis.cells.rows import Row, complete, records, same
from analysis.contract.choice import CHOSEN_BY
from analysis.contract.limits import Limits

COLUMNS = (*CHOSEN_BY, "energy_j", "energy_window_s", "items_per_j", "mean_power_w", "peak_power_w", "idle_power_w",
           "energy_source", "energy_domain", "power_note", "energy_to_target_j", "batch_size", "item")  # fmt: skip


def domain_columns(frame: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """Columns of the machines and tasks, and of what the counter covers: energies of two domains are not compared.

    ``frame`` has all cells of the page, so that a machine is named although no other has a counter.
    """
    return [*task_columns(frame), *(["energy_domain"] if cells["energy_domain"].nunique(dropna=False) > 1 else [])]


def costs(frame: pd.DataFrame) -> pd.DataFrame:
    """The complete cells whose energy is known.

    Returns:
        Added: ``idle_share_ratio``, the idle device's power over the mean power; ``above_idle_per_item_j``, the energy
        of an item less what the device would have taken idle in that time (both NaN where the idle power is unknown);
        ``is_on_front``: no other cell of the same machine, task and domain is both faster and more frugal.
    """
    cells = complete(frame)
    cells = cells[cells["energy_per_item_j"].notna() & (cells["energy_per_item_j"] > 0)]
    idle = (cells["idle_power_w"] / cells["mean_power_w"]).astype("float64")
    front = pd.Series(False, index=cells.index)
    for group in groups(cells, domain_columns(frame, cells)):
        front[group.cells.index] = usable.front(group.cells, ["throughput", "energy_per_item"], Limits())
    return cells.assign(
        idle_share_ratio=idle, above_idle_per_item_j=cells["energy_per_item_j"] * (1 - idle).clip(lower=0),
        is_on_front=front,
    )  # fmt: skip


def best(cells: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, Ranking, Ranking]]:
    """For each group its name in words, its cells ranked by energy, and by speed; the first may be the same."""
    found = []
    for group in groups(cells, names):
        rows = records(usable.usable(group.cells)) or [group.row]
        frugal = rank(rows, plain("energy_per_item_j"), is_lower_better=True)
        if frugal is not None:
            found.append((group.name, frugal, rank(rows, speed) or frugal))
    return found


def n_known(frame: pd.DataFrame, cells: pd.DataFrame, names: Sequence[str], row: Row) -> tuple[int, int]:
    """Of how many cells like the row in ``names`` energy is known, and how many of its machine and task there are."""
    return int(same(cells, row, names).sum()), int(same(complete(frame), row, task_columns(frame)).sum())


def unknown(frame: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Where energy is unknown and why: (machine and device in words, complete cells concerned, reason).

    The reason is ``no counter`` where a cell names no source, else ``too short``: the window was shorter than ten
    periods of its counter, or the counter stood still.
    """
    cells = complete(frame)
    cells = cells[cells["energy_per_item_j"].isna()]
    cells = cells.assign(reason=cells["energy_source"].isna().map({True: "no counter", False: "too short"}))
    names = [*machine_columns(frame), "device"]
    return [(label(g.row, names), len(g.cells), g.row["reason"]) for g in groups(cells, [*names, "reason"])]


def sources(cells: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Which counter told each device's energy: (device, source, what it covers), each once."""
    told = cells[["device", "energy_source", "energy_domain"]].drop_duplicates().astype(object)
    return list(told.where(told.notna(), "an unnamed counter").itertuples(index=False, name=None))
