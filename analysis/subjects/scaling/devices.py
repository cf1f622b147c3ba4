"""What further devices bring: cells on several against the same cell on one, of the same machine and run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells.columns import THROUGHPUT
from analysis.cells.groups import tasks
from analysis.cells.identity import stratum_columns
from analysis.cells.naming import label, varying
from analysis.cells.pooling import MOVED
from analysis.cells.rows import Row, records
from analysis.contract.cells import MEASURED, SERVER
from analysis.page.columns import Column, column_table, estimated, valued
from analysis.stats.estimate import Figure, known, of_row, ratio
from analysis.stats.told_apart import verdict
from analysis.subjects.scaling.crossover import place_of
from analysis.text import MISSING, escape, is_missing, joined, share

COLUMNS = ("n_devices", "parallel", "device_link", "energy_per_item_j", "mean_power_w", "max_rate_per_s",
           "communication_share_ratio", "exposed_communication_share_ratio")  # fmt: skip
HOW = ("n_devices", "parallel")
"""What a cell on one device does not share with the cells on several that it is the measure of."""
_ORDINALS = {2: "second", 3: "third", 4: "fourth"}


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A cell on several devices and the one on one device, each device with as many items of a step.

    Attributes:
        task: Empty where all cells do the same.
        label: The settings that both have.
        one: The cell on one device.
        several: The other.
    """

    task: str
    label: str
    one: Row
    several: Row

    @property
    def n_devices(self) -> int:
        return int(self.several["n_devices"])

    @property
    def speedup(self) -> Figure:
        """Items per second over those of one device; of servers the highest rates of requests."""
        return ratio(_rate(self.several), _rate(self.one))

    @property
    def efficiency(self) -> Figure:
        """The speed-up over the number of devices."""
        return self.speedup.times(1 / self.n_devices)

    @property
    def power(self) -> Figure:
        """Mean power over that of one device."""
        return ratio(*(of_row(row, ["mean_power_w"]) for row in (self.several, self.one)))

    @property
    def joules(self) -> Figure:
        """Energy per item over that of one device."""
        return ratio(*(of_row(row, ["energy_per_item_j"]) for row in (self.several, self.one)))


def _rate(row: Row) -> Figure:
    if row.get("scenario") == SERVER:
        return Figure(value=row.get("max_rate_per_s"))
    return of_row(row, THROUGHPUT)


def over_devices(frame: pd.DataFrame) -> list[Shared]:
    """Every measured cell on several devices of a frame of ``with_identity`` whose cell on one was measured as well."""
    if not (frame["n_devices"] > 1).any():
        return []
    found = []
    for task in tasks(frame):
        names = [c for c in (*stratum_columns(task.cells), "batch_size") if c not in HOW]
        told = [c for c in names if c in varying(task.cells, names) or c in ("device", "precision")]
        rows = [row for row in records(task.cells) if row["status"] in MEASURED and _rate(row).value]
        ones = {place_of(row, names): row for row in rows if row["n_devices"] == 1}
        for row in rows:
            if row["n_devices"] > 1 and (one := ones.get(place_of(row, names))) is not None:
                words = label(row, [*told, *(["parallel"] if "parallel" in varying(task.cells, HOW) else [])])
                found.append(Shared(task=task.name, label=words, one=one, several=row))
    return found


def devices_answer(found: Sequence[Shared], item: str) -> list[str]:
    """Of each task and number of devices, the sentence that decides: of the fastest cell, what the others bring."""
    groups: dict[tuple[str, int], list[Shared]] = {}
    for pair in found:
        groups.setdefault((pair.task, pair.n_devices), []).append(pair)
    said = []
    for (task, n), pairs in groups.items():
        best = max(pairs, key=lambda pair: _rate(pair.several).value or 0.0)
        told = f"{escape(task)}: " if task else ""
        more = ""
        if len(pairs) > 1:
            values = sorted(pair.speedup.value or 0.0 for pair in pairs)
            more = f" Over all {len(pairs)} settings it is {_factor(values[0])} to {_factor(values[-1])}."
        said.append(f"{told}{_sentence(best, n, item)}{more}")
    return said


def _sentence(pair: Shared, n: int, item: str) -> str:
    device = str(pair.several["device"])
    who = f"a {_ORDINALS[n]} {device} device" if n == 2 else f"{n} {device} devices instead of one"
    moved = known(pair.several.get(MOVED))
    what = verdict(pair.speedup, least=0.0 if moved is None else moved - 1)
    is_server = pair.several.get("scenario") == SERVER
    rate = "the requests/s" if is_server else f"the {item}/s"
    bring = "gives" if n == 2 else "give"
    words = {
        "faster": f"{bring} **{pair.speedup.factor_text}** {rate}",
        "slower": f"{bring} only **{pair.speedup.factor_text}** {rate}, which is slower",
        "same": f"{bring} no more {rate.removeprefix('the ')} ({pair.speedup.factor_text})",
        "unclear": f"{bring} {pair.speedup.factor_text} {rate}, no clear difference from one device",
    }
    said = words[what]
    if what == "unclear" and pair.speedup.low is None:
        said = f"{bring} {pair.speedup.factor_text} {rate}, without an interval"
    if pair.power.value is not None:
        said += f" for {_factor(pair.power.value)} the power"
        if pair.joules.value is not None:
            said += f", {_factor(pair.joules.value)} the energy per item"
    return f"{who[0].upper()}{who[1:]} {said} ({escape(pair.label)})."


def _link(row: Row) -> str:
    link = row.get("device_link")
    return MISSING if is_missing(link) else escape(link)


def _factor(value: float) -> str:
    return f"{value:.2f}x"


def devices_table(found: Sequence[Shared], item: str) -> str:
    """Every cell on several devices against the one on one."""
    columns = [
        Column("setting", lambda pair: escape(joined(pair.task, pair.label))),
        Column("devices", lambda pair: str(pair.n_devices)),
        Column("linked by", lambda pair: _link(pair.several)),
        valued(f"one ({item}/s)", lambda pair: _rate(pair.one)),
        valued(f"all ({item}/s)", lambda pair: _rate(pair.several)),
        estimated("speed-up", lambda pair: pair.speedup),
        estimated("efficiency (%)", lambda pair: pair.efficiency.times(100)),
        valued("power (x)", lambda pair: pair.power),
        valued("energy per item (x)", lambda pair: pair.joules),
    ]
    if any(not is_missing(pair.several.get("communication_share_ratio")) for pair in found):
        columns.append(Column("communication", lambda pair: share(pair.several["communication_share_ratio"])))
        exposed = "exposed_communication_share_ratio"
        columns.append(Column("of it, not overlapped", lambda pair: share(pair.several[exposed])))
    return column_table(found, columns)
