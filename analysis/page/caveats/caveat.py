"""One caveat: its sentence, how much hangs on it, and the cells that it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.cells.naming import label, varying
from analysis.cells.rows import records, setting_columns
from analysis.contract.allocators import KEEP_MEMORY
from analysis.contract.cells import TASK_COLUMNS
from analysis.text import escape

INVALID, OFF, TOLD = 2.0, 1.0, 0.0
"""Weights: figures that are not what they are called; figures that are off by a part; what a reader should know."""
MAX_CELLS = 3
"""Cells that a caveat names; their table has a note on each."""

_CODE = re.compile(f"{re.escape(KEEP_MEMORY)}|--allocator default kept|--[a-z][a-z-]+(?: [0-9]+)?")


@dataclass(frozen=True, kw_only=True, eq=False)
class Caveat:
    """A sentence, not escaped unless ``is_markdown``, its weight, and the rows of the cells concerned, worst first."""

    text: str
    weight: float = TOLD
    cells: pd.DataFrame | None = None
    is_markdown: bool = False

    @property
    def markdown(self) -> str:
        """The sentence escaped, options and settings in it as code to be copied."""
        return self.text if self.is_markdown else as_markdown(self.text)

    @property
    def keys(self) -> list[str]:
        """The trial keys of the cells."""
        return [] if self.cells is None else [str(key) for key in self.cells["trial_key"]]

    def told(self, frame: pd.DataFrame) -> str:
        """The sentence in Markdown, with links to its first cells where they are not all of the frame's."""
        cells = self.cells
        if cells is None or not 0 < len(cells) < len(frame):
            return self.markdown
        names = [*varying(frame, TASK_COLUMNS), *setting_columns(frame)]
        rows = records(cells.head(MAX_CELLS))
        links = "; ".join(f"[{escape(label(row, names))}](#{anchor(row['trial_key'])})" for row in rows)
        more = f" and {len(cells) - MAX_CELLS:,} more" if len(cells) > MAX_CELLS else ""
        which = "They are" if len(rows) > 1 else "It is"
        return f"{self.markdown} {which}: {links}{more}."


def as_markdown(text: str) -> str:
    """A sentence escaped, the options and settings it names as code to be copied."""
    parts, end = [], 0
    for found in _CODE.finditer(text):
        parts += [escape_part(text[end : found.start()]), f"`{found[0]}`"]
        end = found.end()
    return "".join([*parts, escape_part(text[end:])])


def escape_part(text: str) -> str:
    """A part of a sentence escaped, the spaces at its ends kept."""
    inner = escape(text)
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and inner else ""
    return f"{before}{inner}{after}"


def heaviest_first(found: Sequence[Caveat]) -> list[Caveat]:
    """The caveats by their weight, those of the same in their order."""
    return sorted(found, key=lambda caveat: -caveat.weight)


def off_by(share: float, mask: pd.Series) -> float:
    """The weight of a caveat on some of the cells, whose figures may be off by up to a share (0.5 for half)."""
    known = 0.0 if pd.isna(share) else float(share)
    return OFF + min(0.99, known) * float(mask.mean())


def anchor(trial_key: object) -> str:
    """The name by which a link finds a cell on a page: the same in every report of the cell."""
    return f"cell-{re.sub(r'[^0-9A-Za-z]+', '-', str(trial_key))[:12]}"
