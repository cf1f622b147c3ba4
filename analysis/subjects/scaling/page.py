"""Throughput and latency over the batch size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis.cells.groups import file_names, of
from analysis.cells.identity import with_identity
from analysis.page.command_line import run_report
from analysis.page.sections import MAX_FIGURES, Drawn, fill, links, shortened
from analysis.read.sweeps import Page
from analysis.subjects.scaling import tables
from analysis.subjects.scaling.answer import answer
from analysis.subjects.scaling.crossover import FASTEST, Crossover, crossovers
from analysis.subjects.scaling.figures import MAX_CURVES, draw_scaling
from analysis.subjects.scaling.quantities import Curve, curves, is_server
from analysis.text import escape

NAME = "report_scaling"
COLUMNS = ("scenario", "batch_size", "throughput_items_per_s", "throughput_low_items_per_s",
           "throughput_high_items_per_s", "step_median_s", "step_median_low_s", "step_median_high_s")  # fmt: skip


def draw(found: Sequence[Curve], met: Sequence[Crossover], folder: Path, item: str) -> list[Drawn]:
    """One figure a task with several batch sizes, at most ``MAX_FIGURES``."""
    by_task: dict[str, list[Curve]] = {}
    for curve in found:
        by_task.setdefault(curve.task, []).append(curve)
    several = {t: c for t, c in by_task.items() if len({p.batch_size for curve in c for p in curve.points}) > 1}
    drawn: list[Drawn] = []
    for name, (task, of_task) in zip(file_names("scaling", list(several)), several.items(), strict=True):
        if len(drawn) == MAX_FIGURES:
            break
        crossing = [c for c in met if c.task == task and c.crosses]
        marked = next((c for c in crossing if c.label.startswith(FASTEST)), crossing[0] if crossing else None)
        title = f"Throughput and median step over batch size{of(task)}"
        draw_scaling(folder / name, of_task, marked, title=title, item=item)
        overtakes = f"; {marked.device} overtakes the CPU at batch {marked.batch:.2g}" if marked else ""
        settings = "; ".join(curve.label for curve in of_task[:MAX_CURVES])
        drawn.append((folder / name, f"{title}, with 95 % intervals, of {settings}{overtakes}"))
    return drawn


def left_out(page: Page, found: Sequence[Curve]) -> list[str]:
    """What the figures or the whole page do not show."""
    said = []
    n_server = int(is_server(page.trials).sum())
    if n_server:
        cells = "1 server cell is" if n_server == 1 else f"{n_server} server cells are"
        said.append(f"{cells} left out: their throughput is the rate at which requests arrive; see report_latency.py.")
    tasks = [curve.task for curve in found]
    if any(tasks.count(task) > MAX_CURVES for task in tasks):
        said.append(f"Figures show the {MAX_CURVES} fastest settings of a task; the tables have all.")
    n_cells = sum(len(curve.points) + len(curve.failed) for curve in found)
    if n_cells > tables.MAX_ROWS:
        said.append(f"The table of cells has the first {tables.MAX_ROWS} of {n_cells:,}.")
    if len(set(tasks)) > MAX_FIGURES:
        said.append(f"{MAX_FIGURES} of {len(set(tasks))} tasks have a figure; the tables have all.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    frame = with_identity(page.trials)
    found = curves(frame)
    met = crossovers(found, frame)
    items = frame["item"].dropna().unique()
    item = str(items[0]) if len(items) == 1 else "items"
    told = escape(item)
    return fill(
        "subjects/scaling/page.md.j2", page, "Throughput and latency over the batch size",
        answer=shortened(answer(found, met, told)),
        left_out=left_out(page, found),
        figures=links(draw(found, met, page.figures, item), page.figures),
        knees=tables.knee_table(found, told),
        crossovers=tables.crossover_table(met),
        cells=tables.cells_table(found, told),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on throughput and latency over the batch size."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)
