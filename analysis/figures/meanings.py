"""What a colour and a marker mean: the same in every figure of a page, and never two things; and those figures.

A reader distinguishes seven colours and seven markers at a glance; from the eighth line on the marker is the line's
number, which the legend has too, and the colour is one of a longer palette.
"""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path as FilePath

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from analysis.figures.style import COLOURS, FURTHER_COLOURS, LINES, MARKERS

NUMERAL_PT = 6.5
SIZES = {"^": 6.5, "v": 6.5, "D": 5.0, "s": 5.0}  # signs of equal nominal size differ in how large they look
_GOLDEN_RATIO = 0.618034  # steps round the circle of hues that never meet again


class Meanings:
    """Hands out looks in the order in which words first ask for them."""

    def __init__(self) -> None:
        self._coloured: list[str] = []
        self._marked: list[str] = []
        self.drawn: dict[FilePath, Figure] = {}  # by their files, for a page that draws them once more

    def colour(self, word: str) -> str:
        """The colour of a word, no other word's."""
        place, given = _place(self._coloured, word), (*COLOURS, *FURTHER_COLOURS)
        if place < len(given):
            return given[place]
        red, green, blue = colorsys.hls_to_rgb(place * _GOLDEN_RATIO % 1, 0.45, 0.7)
        return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"

    def marker(self, word: str) -> str | Path:
        """The marker of a word, no other word's: its number, drawn as a path, from the eighth on."""
        place = _place(self._marked, word)
        return MARKERS[place] if place < len(MARKERS) else numeral(place + 1)

    def dashes(self, word: str) -> str:
        """The dashes of a word; of more words than there are dashes the rest have whole lines."""
        place = _place(self._marked, word)
        return LINES[place] if place < len(LINES) else LINES[0]


@functools.cache
def numeral(number: int) -> Path:
    """The outline of a number around the origin, as high as a marker is."""
    text = TextPath((0, 0), str(number), size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    low, high = text.get_extents().get_points()
    return Path((text.vertices - (low + high) / 2) / (high[1] - low[1]), text.codes)


def marker_size(marker: str | Path) -> float:
    """Points at which markers look equally large; matplotlib fits a path's longer side into the size."""
    if isinstance(marker, str):
        return SIZES.get(marker, 6.0)
    return NUMERAL_PT * 2 * float(abs(marker.vertices).max())


def _place(words: list[str], word: str) -> int:
    if word not in words:
        words.append(word)
    return words.index(word)


_PAGE: ContextVar[Meanings | None] = ContextVar("meanings of the page", default=None)


@contextmanager
def one_page() -> Iterator[None]:
    """All that is drawn within is of one page, so that looks mean the same in its figures."""
    token = _PAGE.set(Meanings())
    try:
        yield
    finally:
        _PAGE.reset(token)


def meanings() -> Meanings:
    """Those of the page that is being drawn; fresh ones where none is."""
    return _PAGE.get() or Meanings()
