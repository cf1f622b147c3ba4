"""Energy: joules per item, power, speed against energy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.cells.groups import Group, groups
from analysis.page.command_line import run_report
from analysis.page.sections import counted, draw_each, fill, identified, titled
from analysis.read.sweeps import Page
from analysis.subjects.energy.answer import _items, best_sentences, power_sentences, source_sentences, unknown_sentences
from analysis.subjects.energy.figures import MAX_LINES, draw_front, draw_over_batch
from analysis.subjects.energy.quantities import COLUMNS, costs, domain_columns
from analysis.subjects.energy.tables import THROUGHPUT, costs_table

NAME = "report_energy"


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
        "subjects/energy/page.md.j2", page, "Energy",
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
