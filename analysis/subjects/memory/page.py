"""Memory: peaks over the batch size, what fits, whether anything leaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.cells.groups import Group, groups, task_columns, word_columns
from analysis.contract.cells import BOUNDS_BATCH, LEAK_BYTES_PER_STEP
from analysis.page.command_line import run_report
from analysis.page.sections import Drawings, draw_each, fill, identified, titled
from analysis.read.sweeps import Page
from analysis.subjects.memory import tables
from analysis.subjects.memory.answer import fit_sentences, growth_sentence, leak_sentences
from analysis.subjects.memory.figures import MAX_LINES, MAX_ROWS, draw_leaks, draw_peaks
from analysis.subjects.memory.quantities import COLUMNS, fits, leaks, peaks

NAME = "report_memory"


def _draw_peaks(path: Path, group: Group) -> str | None:
    known = peaks(group.cells)
    if known.empty or known["batch_size"].nunique() + group.cells["status"].isin(BOUNDS_BATCH).sum() < 2:
        return None
    has_own = known["device_peak_allocated_bytes"].notna().any()
    whose = "device memory" if has_own else "memory of the process"
    title = titled(f"Peak {whose} over batch size", group)
    n = draw_peaks(path, group.cells, title=title, y_label=f"peak {whose} (GiB)")
    left = f", the first {MAX_LINES} of {n} lines" if n > MAX_LINES else ""
    failed = ", crosses where a batch ended out of memory" if group.cells["status"].isin(BOUNDS_BATCH).any() else ""
    return f"{title}{failed}{left}"


def _draw_leaks(frame: pd.DataFrame, folder: Path) -> Drawings:
    if frame.empty or not (frame["leak_verdict"] != "none").any():  # a picture of zeros says no more than a sentence
        return Drawings()
    path, title = folder / "leaks.png", "Growth of memory while a step repeats"
    left = f" (the first {MAX_ROWS} rows)" if len(frame) > MAX_ROWS else ""
    names = [*word_columns(frame), *(["batch_size"] if frame["batch_size"].notna().any() else [])]
    draw_leaks(path, frame, names, title=f"{title}{left}")
    return Drawings(figures=[(path, f"{title}: slope and 95 % interval in KiB per step, worst first{left}")])


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, COLUMNS)
    found, looked_at = fits(frame), leaks(frame)
    by_device = groups(frame, [*task_columns(frame), "device"])
    answer = [*fit_sentences(found), *growth_sentence(found)]
    return fill(
        "subjects/memory/page.md.j2", page, "Memory",
        answer=[*answer, *leak_sentences(looked_at)] if answer else [],
        peak_figures=draw_each(by_device, page.figures, "memory", _draw_peaks),
        fits=tables.fits_table(frame, found),
        peaks=tables.peaks_table(frame),
        leak_figures=_draw_leaks(looked_at, page.figures),
        leaks=tables.leaks_table(frame),
        limit=f"{LEAK_BYTES_PER_STEP // 2**10} KiB",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on memory: peaks, what fits, leaks."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)
