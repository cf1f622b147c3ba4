"""Energy: joules per item, power, speed against energy: ``python analysis/report_energy.py``.

Numbers come from ``energy.py``, figures from ``energy_figures.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder's files are no top-level modules

import pandas as pd

from analysis.cells.groups import Group, groups, machine_columns, setting
from analysis.cells.rows import Row
from analysis.energy import COLUMNS, best, costs, domain_columns, sources, unknown
from analysis.energy_figures import MAX_LINES, draw_front, draw_over_batch
from analysis.page.cell_table import Column, between, cell_table, part, plain
from analysis.page.command_line import run_main, run_report
from analysis.page.sections import counted, draw_each, fill, identified, listed, titled
from analysis.read.sweeps import Page
from analysis.text import escape, is_missing, number, significant

NAME = "report_energy"
THROUGHPUT = ("throughput_items_per_s", "throughput_low_items_per_s", "throughput_high_items_per_s")


def _items(row: Row) -> str:
    return "items" if is_missing(row.get("item")) else str(row["item"])


def best_sentences(cells: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The most frugal cell of each task, and what the fastest one costs more."""
    said = []
    for name, frugal, fastest in best(cells, names):
        items = escape(_items(frugal))
        where = f"{escape(name)}: most" if name else "Most"
        each = f"{significant(frugal['energy_per_item_j'])} J each"
        told = f"{where} {items} per joule with **{escape(setting(cells, frugal))}**: " \
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


def costs_table(cells: pd.DataFrame) -> str:
    """Every cell whose energy is known."""
    front = Column(title="Pareto front", show=lambda r: "yes" if r["is_on_front"] else "")
    covers = [] if len(sources(cells)) < 2 else [
        Column(title=title, show=lambda r, c=column: "" if is_missing(r[c]) else escape(r[c]))  # type: ignore[misc]
        for title, column in (("source", "energy_source"), ("covers", "energy_domain"))
    ]  # fmt: skip
    columns = [
        between("throughput (items/s)", THROUGHPUT),
        plain("energy (J/item)", "energy_per_item_j"),
        plain("above idle (J/item)", "above_idle_per_item_j"),
        plain("items per joule", "items_per_j"),
        plain("mean power (W)", "mean_power_w"),
        plain("peak power (W)", "peak_power_w"),
        plain("idle power (W)", "idle_power_w"),
        part("idle share", "idle_share_ratio"),
        plain("window (s)", "energy_window_s"),
        plain("energy to target accuracy (J)", "energy_to_target_j"),
    ]
    return cell_table(cells, columns, lead=[front, *covers])


def _draw_front(path: Path, group: Group) -> str | None:
    known = group.cells[group.cells["throughput_items_per_s"].notna()]
    if len(known) < 2:
        return None
    title = titled("Speed against energy", group)
    n = draw_front(path, known, title=title, item=_items(group.row))
    left = f", the most frugal {MAX_LINES} of {n} settings" if n > MAX_LINES else ""
    return f"{title}: cells on the Pareto front filled, with their batch sizes{left}"


def _draw_over_batch(path: Path, group: Group) -> str | None:
    title = titled(f"{_items(group.row).capitalize()} per joule over batch size", group)
    return title if draw_over_batch(path, group.cells, title=title, item=_items(group.row)) else None


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, [*COLUMNS, *THROUGHPUT])
    cells = costs(frame)
    names = domain_columns(frame, cells)
    by_domain = groups(cells, names)
    return fill(
        f"{NAME}.md.j2", page, "Energy",
        answer=[*best_sentences(cells, names), *power_sentences(frame, cells), *unknown_sentences(frame)],
        front_figures=draw_each(by_domain, page.figures, "front", _draw_front),
        n_front=counted(int(cells["is_on_front"].sum())),
        batch_figures=draw_each(by_domain, page.figures, "items-per-joule", _draw_over_batch),
        costs=costs_table(cells),
        sources=source_sentences(cells),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on energy: joules per item, power, speed against energy."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)


if __name__ == "__main__":
    sys.exit(run_main(main))
