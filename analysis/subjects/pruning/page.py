"""What was pruned and what it saved, what searches found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.cells.groups import file_names
from analysis.cells.identity import with_identity
from analysis.page.command_line import run_report
from analysis.page.sections import Drawn, fill, links, shortened
from analysis.read.sweeps import Page
from analysis.subjects.pruning import search_tables, tables
from analysis.subjects.pruning.answer import batch_answer, pruning_answer, search_answer
from analysis.subjects.pruning.figures import draw_study
from analysis.subjects.pruning.quantities import COLUMNS, Study, saving, studies
from analysis.subjects.pruning.search_figures import draw_batches, draw_search
from analysis.subjects.pruning.searches import BatchSearch, Search, batch_searches, searches
from analysis.text import escape

NAME = "report_pruning"
MAX_FIGURES = 6
"""Of studies; those in which most was saved."""
MAX_LINES = 8


def _pruning(description: Mapping[str, Any]) -> Mapping[str, Any]:
    return (description.get("config") or {}).get("pruning") or {}


def _pruners(page: Page) -> list[str]:
    """The pruners that the sweeps were given, in words: ``median on accuracy``."""
    found = []
    for description in page.descriptions.values():
        pruning = _pruning(description)
        if pruning.get("pruner", "none") != "none":
            found.append(escape(f"the {pruning['pruner']} pruner on {pruning.get('prune_on')}"))
    return list(dict.fromkeys(found))


def draw_studies(found: Sequence[Study], rounds: tables.Rounds, folder: Path) -> list[Drawn]:
    """A figure for each study with pruned cells, at most ``MAX_FIGURES``."""
    pruned = [study for study in found if study.pruned]
    ranked = sorted(range(len(pruned)), key=lambda i: -(saving(pruned[i]).saved.value or 0.0))[:MAX_FIGURES]
    shown = [pruned[i] for i in sorted(ranked)]
    drawn: list[Drawn] = []
    for file, study in zip(file_names("pruning", [study.name for study in shown]), shown, strict=True):
        title = f"Pruning of {study.name}"
        told = draw_study(folder / file, study, rounds, title=title)
        drawn += [] if told is None else [(folder / file, f"{title}: {told}")]
    return drawn


def draw_searches(found: Sequence[Search], folder: Path) -> list[tuple[str, list[tuple[str, str]], str]]:
    """For each search its name, its figure (link and alternative text) and its table; without complete cells none."""
    made = []
    for file, search in zip(file_names("search", [search.name for search in found]), found, strict=True):
        if not search.candidates.any():
            continue
        title = f"Search of {search.name}"
        told = draw_search(folder / file, search, title=title)
        figures = links([(folder / file, f"{title}: {told}")], folder)
        made.append((escape(search.name), figures, search_tables.fronts_table(search)))
    return made


def draw_batch_searches(found: Sequence[BatchSearch], folder: Path) -> list[Drawn]:
    """One figure of all settings whose batch size was searched."""
    measured = [s for s in found if any(row["status"] == "complete" for row in s.rows)][:MAX_LINES]
    if not measured:
        return []
    path, title = folder / "batch-sizes.png", "Batch sizes tried"
    draw_batches(path, measured, title=title)
    lines = "; ".join(s.label for s in measured)
    return [(path, f"{title}: throughput over batch size of {lines}, the fastest and the largest marked")]


def left_out(found: Sequence[Study], searched: Sequence[BatchSearch]) -> list[str]:
    """What the page or its figures do not show."""
    said = []
    pruned = [study for study in found if study.pruned]
    if len(pruned) > MAX_FIGURES:
        said.append(f"{MAX_FIGURES} of {len(pruned)} studies have a figure: those in which most was saved.")
    if sum(len(study.pruned) for study in pruned) > tables.MAX_ROWS:
        said.append(f"The table of pruned cells has the first {tables.MAX_ROWS}.")
    if len(searched) > MAX_LINES:
        said.append(f"The figure of batch sizes has the first {MAX_LINES} of {len(searched)} settings.")
    return said


def build(page: Page) -> str:
    """The report's Markdown; figures are written into ``page.figures``."""
    pruners = {name: _pruning(description).get("pruner") for name, description in page.descriptions.items()}
    frame = with_identity(page.trials)
    frame = frame.assign(pruner=frame["sweep"].map(pruners))
    rounds: dict[Any, Any] = dict(list(page.rounds.groupby(["sweep", "trial_key"], sort=False)))
    found, searched, sizes = studies(frame), searches(frame, page.descriptions), batch_searches(frame)
    is_search_alone = bool(searched or sizes) and not any(study.pruned for study in found)
    answer = [] if is_search_alone else pruning_answer(found, _pruners(page))
    return fill(
        "subjects/pruning/page.md.j2", page, "Pruning and searches",
        answer=shortened([*answer, *search_answer(searched), *batch_answer(sizes)]),
        study_figures=links(draw_studies(found, rounds, page.figures), page.figures),
        studies=tables.studies_table(found),
        pruned=tables.pruned_table(found, rounds),
        searches=draw_searches(searched, page.figures),
        batch_figures=links(draw_batch_searches(sizes, page.figures), page.figures),
        batches=search_tables.batch_table(sizes),
        left_out=left_out(found, sizes),
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    told = "Write the report on pruning and searches: what was given up, what it saved, what was found."
    return run_report(arguments, name=NAME, description=told, build=build, columns=COLUMNS)
