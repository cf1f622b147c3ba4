"""The sentences of the report on energy."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.groups import groups, machine_columns, setting
from analysis.cells.rows import items
from analysis.subjects.energy.quantities import best, n_known, sources, unknown
from analysis.text import counted, escape, is_missing, listed, number, significant

_REASONS = {"no counter": "no counter could be read there",
            "too short": "their measured windows were shorter than ten periods of the counter"}  # fmt: skip


def best_sentences(frame: pd.DataFrame, cells: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The most frugal cell of each task, of how many, and what the fastest one costs more."""
    said = []
    for name, ranked, by_speed in best(cells, names):
        frugal, fastest = ranked.row, by_speed.row
        joules, (n, n_all) = frugal["energy_per_item_j"], n_known(frame, cells, names, frugal)
        is_alone, amount = n == 1 < n_all, f"{escape(items(frugal))} per joule"
        known = "" if n == n_all else f"of the {n:,} of {counted(n_all)} with an energy measurement, "
        what = f"{known}most {amount} with" if ranked.is_first else f"{known}{significant(1 / joules)} {amount} with"
        if is_alone:  # which is the most of nothing
            what = f"energy was measured for 1 of {counted(n_all)} only,"
        told = f"{escape(name)}: {what}" if name else f"{what[0].upper()}{what[1:]}"
        told += f" **{escape(setting(cells, frugal))}**"
        told += f": {significant(1 / joules)}" if ranked.is_first or is_alone else ""
        told += f"{f' {amount}' if is_alone else ''} ({significant(joules)} J each)"
        beside = ranked.undecided(lambda row: escape(setting(cells, row)))
        told += f", {beside}" if beside else ""
        if is_alone or not (ranked.is_first and by_speed.is_first):
            said.append(f"{told}.")
            continue
        if frugal["trial_key"] == fastest["trial_key"]:
            said.append(f"{told}; it is also the fastest.")
            continue
        faster = fastest["throughput_items_per_s"] / frugal["throughput_items_per_s"]
        dearer = fastest["energy_per_item_j"] / joules
        said.append(f"{told}; the fastest, {escape(setting(cells, fastest))}, runs at {significant(faster)}x the "
                    f"speed for {significant(dearer)}x the energy.")  # fmt: skip
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
        said.append(f"{escape(group.name)} draws {drawn} W under load{beside}.")
    return said


def left_out_sentences(frame: pd.DataFrame) -> list[str]:
    """Of how many cells a power is left out since another contradicts it."""
    notes = frame["power_note"].dropna().str.split(", ").explode().value_counts()
    told = [f"{escape(why)} in {counted(int(n))}" for why, n in notes.items()]
    return [f"Left out because other figures of the same cell contradict it: {listed(told)}."] if told else []


def unknown_sentences(frame: pd.DataFrame) -> list[str]:
    """Where energy is unknown, one sentence for each reason."""
    found: dict[str, list[str]] = {}
    for name, n, why in unknown(frame):
        found.setdefault(why, []).append(f"{escape(name)} ({counted(n)})")
    return [
        f"Energy was not measured on {listed(found[why])}: {words}." for why, words in _REASONS.items() if why in found
    ]


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
