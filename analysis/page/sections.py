"""What every page has: heading, answer, caveats, figures with what they leave out, the environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd

from analysis.cells.groups import file_names
from analysis.cells.identity import narrowed, with_identity
from analysis.cells.naming import common
from analysis.cells.rows import complete, counts_text
from analysis.contract.cells import TASK_COLUMNS
from analysis.page.caveats.caveat import OFF, Caveat, heaviest_first
from analysis.page.caveats.of_sweep import caveats as sweep_caveats
from analysis.page.caveats.of_sweep import left_out
from analysis.page.environment import environment_table, of_devices
from analysis.page.runs import told_of_runs
from analysis.page.templates import render
from analysis.read.sweeps import Page
from analysis.text import counted, escape

MAX_SENTENCES = 12  # sentences that a page begins with; the rest of many is in its tables
MAX_FIGURES = 12  # a page with more figures of one kind is not read; the rest is in its tables
Drawn = tuple[Path, str]
"""A figure's file and its alternative text."""


class Named(Protocol):
    """What a figure is of: a group of cells, a task, a study."""

    @property
    def name(self) -> str:
        """What tells it from the others, in words."""


T = TypeVar("T", bound=Named)


@dataclass(frozen=True, kw_only=True)
class Drawings:
    """Figures of one kind, and in sentences what they leave out."""

    figures: Sequence[Drawn] = ()
    left_out: Sequence[str] = ()

    def leaving_out(self, sentences: Sequence[str]) -> Drawings:
        """The same with more told of what they, or the whole page, do not show."""
        return replace(self, left_out=[*self.left_out, *sentences])

    @property
    def pictures(self) -> list[tuple[str, str]]:
        """Links from the page beside the figures' folder, with the alternative texts."""
        return [(f"{path.parent.name}/{path.name}", text) for path, text in self.figures]


def draw_each(page: Page, stem: str, found: Sequence[T], draw: Callable[[Path, T], str | None]) -> Drawings:
    """A figure ``STEM-NAME.png`` for each that has the numbers, at most ``MAX_FIGURES``.

    ``draw`` returns the alternative text; None where it has nothing to draw.
    """
    drawn: list[Drawn] = []
    for i, (one, file) in enumerate(zip(found, file_names(stem, [one.name for one in found]), strict=True)):
        if len(drawn) == MAX_FIGURES:
            left = counted(len(found) - i, "more figure")
            return Drawings(figures=drawn, left_out=[f"{left} left out: their numbers are in the table."])
        text = draw(page.figures / file, one)
        drawn += [] if text is None else [(page.figures / file, text)]
    return Drawings(figures=drawn)


def identified(page: Page, columns: Sequence[str]) -> pd.DataFrame:
    """The page's cells with what tells machines, runs and options apart, and of the other columns those named."""
    return narrowed(with_identity(page.trials), columns)


def caveats(page: Page) -> list[str]:
    """What a reader must know before believing the numbers, in Markdown, the heaviest first."""
    lost, sweep = page.trials.attrs, "the sweep" if len(page.sweeps) == 1 else "a sweep"
    said = [Caveat(text=text, weight=OFF) for text in left_out(lost["unreadable"], lost["missing"], sweep=sweep)]
    found = heaviest_first([*said, *sweep_caveats(page.trials, None, []), *told_of_runs(page.trials)])
    return [caveat.told(page.trials) for caveat in found]


def heading(page: Page, subject: str) -> str:
    """``SUBJECT of WORKLOAD, MODEL``: what all cells share goes into the title."""
    shared = common(page.trials, TASK_COLUMNS)
    return f"{subject}: {escape(shared)}" if shared else subject


def fill(template: str, page: Page, subject: str, *, answer: Sequence[str], **values: Any) -> str:
    """A subject's Markdown from its template, ``values`` being what this names besides what all pages have.

    It begins with the sentences of the answer, which are escaped; without any it says why there is nothing.
    """
    n = len(complete(page.trials))
    nothing = "No cell is complete, so there is nothing to report."
    if n:
        nothing = f"There is nothing to report: {counted(n)} completed, but without the figures needed here."
    return render(
        template, title=heading(page, subject), answer=list(answer) or [nothing], caveats=caveats(page),
        counts=counts_text(page.trials), environment=environment_table(of_devices(page.trials)), **values,
    )  # fmt: skip


def shortened(sentences: Sequence[str]) -> list[str]:
    """The first ``MAX_SENTENCES``, and how many more there were."""
    left = len(sentences) - MAX_SENTENCES
    return [*sentences[:MAX_SENTENCES], *([f"{left:,} more like these are in the tables."] if left > 0 else [])]
