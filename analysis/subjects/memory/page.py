"""Memory: peaks over the batch size, what fits, whether anything leaks."""

from __future__ import annotations

from analysis.cells.groups import groups, task_columns
from analysis.contract.cells import LEAK_BYTES_PER_STEP
from analysis.page.command_line import report_main
from analysis.page.sections import draw_each, fill, identified
from analysis.read.sweeps import Page
from analysis.subjects.memory.answer import fit_sentences, growth_sentence, leak_sentences
from analysis.subjects.memory.figures import draw_leaks, draw_peaks
from analysis.subjects.memory.quantities import COLUMNS, fits, leaks
from analysis.subjects.memory.tables import fits_table, leaks_table, peaks_table


def build(page: Page) -> str:
    """The report's Markdown; its figures are written into the page's folder."""
    frame = identified(page, COLUMNS)
    found, looked_at = fits(frame), leaks(frame)
    answer = [*fit_sentences(found), *growth_sentence(found)]
    return fill(
        "subjects/memory/page.md.j2", page, "Memory",
        answer=[*answer, *leak_sentences(looked_at)] if answer else [],
        peak_figures=draw_each(page, "memory", groups(frame, [*task_columns(frame), "device"]), draw_peaks),
        fits=fits_table(frame, found),
        peaks=peaks_table(frame),
        leak_figures=draw_each(page, "leaks", groups(looked_at, []), draw_leaks),
        leaks=leaks_table(looked_at),
        limit=f"{LEAK_BYTES_PER_STEP // 2**10} KiB",
    )  # fmt: skip


main = report_main("memory", build, COLUMNS, "Write the report on memory: peaks, what fits, leaks.")
