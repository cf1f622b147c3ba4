"""What was pruned and what it saved, what searches found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from analysis.cells.groups import Task
from analysis.cells.identity import with_identity
from analysis.page.command_line import report_main
from analysis.page.sections import Drawings, draw_each, fill, shortened
from analysis.read.sweeps import Page
from analysis.subjects.pruning.answer import batch_answer, pruning_answer, search_answer
from analysis.subjects.pruning.figures import draw_study
from analysis.subjects.pruning.quantities import COLUMNS, Study, saving, studies
from analysis.subjects.pruning.search_figures import MAX_LINES, draw_batches, draw_search
from analysis.subjects.pruning.searches import BatchSearch, Search, batch_searches, searches
from analysis.subjects.pruning.tables import batch_table, fronts_table, pruned_table, studies_table
from analysis.text import escape

MAX_FIGURES = 6
"""Of studies; those in which most was saved."""


def most_saved(found: Sequence[Study]) -> list[Study]:
    """Those of the studies with pruned cells that have a figure, in their own order."""
    pruned = [study for study in found if study.pruned]
    ranked = sorted(range(len(pruned)), key=lambda i: -(saving(pruned[i]).saved.value or 0.0))[:MAX_FIGURES]
    return [pruned[i] for i in sorted(ranked)]


def each_search(page: Page, found: Sequence[Search]) -> list[tuple[str, Drawings, str]]:
    """For each search its name, its figure and its table; without complete cells none."""
    shown = [search for search in found if search.candidates.any()]
    figures = [Drawings(figures=[one]) for one in draw_each(page, "search", shown, draw_search).figures]
    figures += [Drawings()] * (len(shown) - len(figures))
    return [(escape(s.name), f, fronts_table(s)) for s, f in zip(shown, figures, strict=True)]


def left_out(found: Sequence[Study], searched: Sequence[BatchSearch]) -> list[str]:
    """What the page or its figures do not show."""
    said = []
    pruned = [study for study in found if study.pruned]
    if len(pruned) > MAX_FIGURES:
        said.append(f"{MAX_FIGURES} of {len(pruned)} studies have a figure: those that saved most.")
    if len(searched) > MAX_LINES:
        said.append(f"The figure of batch sizes has the first {MAX_LINES} of {len(searched)} settings.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    pruning = {name: (told.get("config") or {}).get("pruning") or {} for name, told in page.descriptions.items()}
    asked = [
        escape(f"the {p['pruner']} pruner on {p.get('prune_on')}")
        for p in pruning.values()
        if p.get("pruner", "none") != "none"
    ]
    frame = with_identity(page.trials)
    frame = frame.assign(pruner=frame["sweep"].map({name: p.get("pruner") for name, p in pruning.items()}))
    rounds = dict(list(page.rounds.groupby(["sweep", "trial_key"], sort=False)))
    found, searched, sizes = studies(frame), searches(frame, page.descriptions), batch_searches(frame)
    is_search_alone = bool(searched or sizes) and not any(study.pruned for study in found)
    answer = [] if is_search_alone else pruning_answer(found, list(dict.fromkeys(asked)))
    return fill(
        "subjects/pruning/page.md.j2", page, "Pruning and searches",
        answer=shortened([*answer, *search_answer(searched), *batch_answer(sizes)]),
        study_figures=draw_each(page, "pruning", most_saved(found), partial(draw_study, rounds=rounds)),
        studies=studies_table(found), pruned=pruned_table(found, rounds),
        searches=each_search(page, searched),
        batch_figures=draw_each(page, "batch-sizes", [Task(name="", members=sizes)], draw_batches),
        batches=batch_table(sizes),
        left_out=Drawings(left_out=left_out(found, sizes)),
    )  # fmt: skip


main = report_main(
    "pruning", build, COLUMNS,
    "Write the report on pruning and searches: what was pruned, what that saved, what was found.",
)  # fmt: skip
