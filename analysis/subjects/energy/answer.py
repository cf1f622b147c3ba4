"""The sentences of the report on energy."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import groups, machine_columns, setting
from analysis.cells.rows import items
from analysis.subjects.energy.quantities import best, sources, unknown
from analysis.text import counted, escape, is_missing, listed, number, significant

_REASONS = {"no counter": "no counter could be read there",
            "too short": "their windows were shorter than ten periods of the counter"}  # fmt: skip


def best_sentences(cells: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The most frugal cell of each task, and what the fastest one costs more."""
    said = []
    for name, frugal, fastest in best(cells, names):
        joules = frugal["energy_per_item_j"]
        told = f"{escape(name)}: most" if name else "Most"
        told += f" {escape(items(frugal))} per joule with **{escape(setting(cells, frugal))}**: "
        told += f"{significant(1 / joules)} ({significant(joules)} J each)"
        if frugal["trial_key"] == fastest["trial_key"]:
            said.append(f"{told}; it is the fastest too.")
            continue
        faster = fastest["throughput_items_per_s"] / frugal["throughput_items_per_s"]
        dearer = fastest["energy_per_item_j"] / joules
        said.append(f"{told}; the fastest, {escape(setting(cells, fastest))}, is {significant(faster)} times as "
                    f"fast for {significant(dearer)} times the energy.")  # fmt: skip
    return said


def power_sentences(frame: pd.DataFrame, cells: pd.DataFrame) -> list[str]:
    """How much of a device's power is idling, from the laziest to the busiest cell."""
    said = []
    for group in groups(cells, [*machine_columns(frame), "device"]):
        known = group.cells[group.cells["mean_power_w"].notna()]
        if known.empty:
            continue
        drawn = " to ".join(dict.fromkeys(number(end) for end in known["mean_power_w"].agg(["min", "max"])))
        idle = known["idle_power_w"].median()
        beside = "" if is_missing(idle) else f", idle {number(idle)} W"
        said.append(f"{escape(group.name)} draws {drawn} W while measured{beside}.")
    return said


def unknown_sentences(frame: pd.DataFrame) -> list[str]:
    """Where energy is unknown, one sentence for each reason."""
    found: dict[str, list[str]] = {}
    for name, n, why in unknown(frame):
        found.setdefault(why, []).append(f"{escape(name)} ({counted(n)})")
    return [f"Energy is unknown on {listed(found[why])}: {words}." for why, words in _REASONS.items() if why in found]


def source_sentences(cells: pd.DataFrame) -> list[str]:
    """What the counters cover, and that energies of different coverage are not compared."""
    told = sources(cells)
    said = [
        f"{escape(device)}: {escape(source)}, which covers the {escape(covered)}." for device, source, covered in told
    ]
    if len({domain for _, _, domain in told}) > 1:
        said.append("Counters that cover different things are not compared with each other: a board's counter leaves "
                    "out the processor that feeds it.")  # fmt: skip
    return said
