"""The style of all figures: colour-blind safe, readable in grey, texts cut and legends given room."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from analysis.text import visible

# Okabe and Ito's palette (2008), yellow left out, which is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
MAX_CHARACTERS, MAX_LINES = 100, 3
"""Of text in a figure; a line that is wider than this share of the figure is cut shorter still."""
MAX_WIDTH_SHARE = 0.85
LEGEND_CHARACTERS = 28  # a longer label of a legend beside the axes goes on in the next line
LEGEND_MARGIN = 0.05  # inches between a legend and the figure's lower edge
STYLE = {
    "figure.figsize": (7.2, 4.0), "figure.dpi": 160, "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd", "grid.linewidth": 0.6,
    "axes.axisbelow": True, "axes.titlesize": 11, "axes.titlelocation": "left", "legend.frameon": False,
    "lines.linewidth": 1.6, "lines.markersize": 5.5, "svg.hashsalt": "accelsweep", "axes.edgecolor": "#444444",
    "font.family": "DejaVu Sans", "text.parse_math": False,
}  # fmt: skip


# Names from results may hold what no font draws, or be as long as the figure is wide; neither is the reader's business.
for _message in ("Glyph .* missing from", "constrained_layout not applied"):
    warnings.filterwarnings("ignore", message=_message, category=UserWarning)


@contextmanager
def canvas(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
    """An empty figure, saved at the end without dates or versions in the file.

    Whatever backend and settings the user chose for matplotlib are left alone and count for nothing here.
    """
    with style.context(["default", STYLE]):
        drawn = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn
        _shorten_texts(drawn)
        _grow_for_legends(drawn)
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
        drawn.savefig(path, metadata=metadata)


def _wrapped(label: str) -> str:
    """A legend's label on lines short enough to leave most of the figure to the data."""
    width = max(LEGEND_CHARACTERS, len(label) // MAX_LINES + LEGEND_CHARACTERS // 2)
    return label if "\n" in label else "\n".join(textwrap.wrap(label, width, break_long_words=False)) or label


def _shorten_texts(drawn: Figure) -> None:
    """Cut what is too long for any figure, and show control characters: names come from results of anyone."""
    for legend in drawn.findobj(Legend):
        for label in legend.get_texts():
            if len(label.get_text()) > LEGEND_CHARACTERS:
                label.set_text(_wrapped(label.get_text()))
    for text in drawn.findobj(mpl.text.Text):
        lines = [visible(line) for line in text.get_text().split("\n")[:MAX_LINES]]
        shown = "\n".join(line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS]}..." for line in lines)
        if shown != text.get_text():
            text.set_text(shown)
            too_wide = text.get_window_extent().width / (MAX_WIDTH_SHARE * drawn.bbox.width)
            if too_wide > 1:
                n = int(MAX_CHARACTERS / too_wide)
                text.set_text("\n".join(f"{line[:n]}..." if len(line) > n else line for line in lines))


def _grow_for_legends(drawn: Figure) -> None:
    """Make a figure as tall as its tallest legend, which would else be cut off at the bottom."""
    if legends := drawn.findobj(Legend):
        drawn.draw_without_rendering()
        missing = LEGEND_MARGIN - min(legend.get_window_extent().y0 for legend in legends) / drawn.dpi
        drawn.set_figheight(drawn.get_figheight() + max(0.0, missing))
