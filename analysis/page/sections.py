"""What the reports on one subject have in common: heading, caveats, a figure for each group, the environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.cells import rows as summaries
from analysis.cells.columns import CELL_COLUMNS
from analysis.cells.groups import Group, file_names, of
from analysis.cells.identity import MACHINE, RUN, with_identity
from analysis.cells.naming import common
from analysis.contract.cells import TASK_COLUMNS
from analysis.page.caveats import as_markdown
from analysis.page.caveats import caveats as sweep_caveats
from analysis.page.tables import environment_table
from analysis.page.templates import render
from analysis.read.sweeps import Page
from analysis.text import escape

MAX_SENTENCES = 12
"""Sentences that a page begins with; the rest of many is in its tables."""


MAX_FIGURES = 12
"""A page with more figures of one kind is not read; the rest is in its tables."""
_IDENTITY = (MACHINE, RUN, "node", "sweep", "host", "trial_key", "status", "item", "items_per_step")
Drawn = tuple[Path, str]
"""A figure's file and its alternative text."""


@dataclass(frozen=True, kw_only=True)
class Drawings:
    """Figures of one kind.

    Attributes:
        figures: Files with their alternative texts.
        n_left: Groups that have no figure because there are too many.
    """

    figures: Sequence[Drawn] = ()
    n_left: int = 0

    def linked(self, folder: Path) -> dict[str, Any]:
        """What a template draws from: ``pictures``, pairs of link and text, and ``note``, what was left out."""
        told = f"{counted(self.n_left, 'more figure')} would be too many: their numbers are in the table."
        links = [(f"{folder.name}/{path.name}", text) for path, text in self.figures]
        return {"pictures": links, "note": told if self.n_left else ""}


def identified(page: Page, columns: Sequence[str]) -> pd.DataFrame:
    """The page's cells with the columns that tell machines, runs and options apart, and of the others those named.

    A large sweep is sliced hundreds of times; columns that a report does not read would be copied each time.
    """
    frame = with_identity(page.trials)
    kept = {*CELL_COLUMNS, *_IDENTITY, *columns}
    return frame[[c for c in frame if c in kept or str(c).startswith("option ")]]


def counted(n: int, noun: str = "cell") -> str:
    """``1 cell``, ``1,200 cells``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def listed(words: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def caveats(page: Page) -> list[str]:
    """What a reader must know before believing the numbers, escaped, each once."""
    said = [*page.caveats, *(as_markdown(c) for c in sweep_caveats(page.trials, None, []))]
    return list(dict.fromkeys(said))


def heading(page: Page, subject: str) -> str:
    """``SUBJECT of WORKLOAD, MODEL``: what all cells share goes into the title."""
    shared = common(page.trials, TASK_COLUMNS)
    return f"{subject}: {escape(shared)}" if shared else subject


def draw_each(groups: Sequence[Group], folder: Path, stem: str, draw: Callable[[Path, Group], str | None]) -> Drawings:
    """A figure for each group that has the numbers, at most ``MAX_FIGURES``.

    Args:
        groups: One figure each.
        folder: Of the figures.
        stem: How their files' names begin.
        draw: Draws a group into a file and returns the alternative text; None where it has nothing to draw.
    """
    drawn: list[Drawn] = []
    names = file_names(stem, [g.name for g in groups])
    for i, (group, file) in enumerate(zip(groups, names, strict=True)):
        if len(drawn) == MAX_FIGURES:
            return Drawings(figures=drawn, n_left=len(groups) - i)
        text = draw(folder / file, group)
        if text is not None:
            drawn.append((folder / file, text))
    return Drawings(figures=drawn)


def titled(text: str, group: Group) -> str:
    """A figure's title with the group's name behind it."""
    return f"{text}{of(group.name)}"


def fill(template: str, page: Page, subject: str, *, answer: Sequence[str], **values: Any) -> str:
    """A report's Markdown from its template.

    Args:
        template: Of ``analysis/templates``.
        page: What it is made from.
        subject: The title's first word.
        answer: Sentences that the page begins with, escaped; without any it says why there is nothing.
        values: Whatever else the template names. Of ``Drawings`` the template gets links.
    """
    linked = {name: value.linked(page.figures) if isinstance(value, Drawings) else value
              for name, value in values.items()}  # fmt: skip
    return render(
        template, title=heading(page, subject), answer=list(answer) or [_nothing(page.trials)], caveats=caveats(page),
        counts=_counts(page.trials), environment=environment_table(page.trials), **linked,
    )  # fmt: skip


def _nothing(frame: pd.DataFrame) -> str:
    """Why there is no answer."""
    n = len(summaries.complete(frame))
    if n:
        return f"Nothing is known of this: {counted(n)} ended well, without the figures that it takes."
    return "No cell was measured to its end, so there is nothing to tell."


def _counts(frame: pd.DataFrame) -> str:
    """``20 cells: 18 complete, 2 oom``."""
    by_status = ", ".join(f"{n} {status}" for status, n in summaries.status_counts(frame).items())
    return f"{counted(len(frame))}: {by_status}" if by_status else counted(len(frame))


def shortened(sentences: Sequence[str]) -> list[str]:
    """The first ``MAX_SENTENCES``, and how many more there were."""
    left = len(sentences) - MAX_SENTENCES
    more = [f"{left:,} more like these: see the tables."] if left > 0 else []
    return [*sentences[:MAX_SENTENCES], *more]


def links(drawn: Sequence[tuple[Path, str]], folder: Path) -> list[tuple[str, str]]:
    """Figures as a page beside their folder links them: (link, alternative text)."""
    return [(f"{folder.name}/{path.name}", text) for path, text in drawn]
