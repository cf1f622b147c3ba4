"""The sentences that the report on energy begins with."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import groups, machine_columns, setting
from analysis.cells.rows import items
from analysis.subjects.energy.quantities import best, sources, unknown
from analysis.text import counted, escape, is_missing, listed, number, significant


def best_sentences(cells: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The most frugal cell of each task, and what the fastest one costs more."""
    said = []
    for name, frugal, fastest in best(cells, names):
        where = f"{escape(name)}: most" if name else "Most"
        each = f"{significant(frugal['energy_per_item_j'])} J each"
        told = f"{where} {escape(items(frugal))} per joule with **{escape(setting(cells, frugal))}**: " \
               f"{significant(1 / frugal['energy_per_item_j'])} ({each})"  # fmt: skip
        if frugal["trial_key"] == fastest["trial_key"]:
            said.append(f"{told}; it is the fastest too.")
            continue
        faster = fastest["throughput_items_per_s"] / frugal["throughput_items_per_s"]
        dearer = fastest["energy_per_item_j"] / frugal["energy_per_item_j"]
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
        low, high = number(known["mean_power_w"].min()), number(known["mean_power_w"].max())
        drawn = f"{low} W" if low == high else f"{low} to {high} W"
        idle = known["idle_power_w"].median()
        beside = "" if is_missing(idle) else f", idle {number(idle)} W"
        said.append(f"{escape(group.name)} draws {drawn} while measured{beside}.")
    return said


def unknown_sentences(frame: pd.DataFrame) -> list[str]:
    """Where energy is unknown, one sentence for each reason."""
    found, said = unknown(frame), []
    reasons = {"no counter": "no counter could be read there",
               "too short": "their windows were shorter than ten periods of the counter"}  # fmt: skip
    for reason, words in reasons.items():
        where = [f"{escape(name)} ({counted(n)})" for name, n, why in found if why == reason]
        if where:
            said.append(f"Energy is unknown on {listed(where)}: {words}.")
    return said


def source_sentences(cells: pd.DataFrame) -> list[str]:
    """What the counters cover, and that energies of different coverage are not compared."""
    told = sources(cells)
    said = [
        f"{escape(device)}: {escape(source)}, which covers the {escape(domain)}." for device, source, domain in told
    ]
    if len({domain for _, _, domain in told}) > 1:
        said.append("Counters that cover different things are not compared with each other: a board's counter leaves "
                    "out the processor that feeds it.")  # fmt: skip
    return said
