"""The style of all figures: colour-blind safe, readable in grey, texts cut and legends given room."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib import style
from matplotlib.axis import Axis, Tick
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, MaxNLocator, NullLocator

from analysis.text import visible

# Okabe and Ito's palette (2008), yellow left out, which is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
FURTHER_COLOURS = ("#8C564B", "#17A2A2", "#7A4FBF", "#A0A000", "#7F7F7F", "#C2185B", "#3B4CC0", "#5D8A00")
"""Of an eighth line and those after it, which are grey and distinguished by their numbers."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")
MAX_CHARACTERS, MAX_LINES = 100, 3
"""Of text in a figure; a line that is wider than this share of the figure is cut shorter still."""
MAX_WIDTH_SHARE = 0.85
MIN_TICKS, TICK_ROOM_PT = 2, 5.0
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
        path.parent.mkdir(parents=True, exist_ok=True)
        _finish(drawn, path)


def _finish(drawn: Figure, path: Path) -> None:
    """Lay a figure out for good and save it."""
    _shorten_texts(drawn)
    lay_out(drawn)
    if _grow_for_legends(drawn):
        lay_out(drawn)
    _space_ticks(drawn)
    drawn.set_layout_engine(None)  # else saving lays out again, and draws twice to do so
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
    drawn.savefig(path, metadata=metadata)


def _wrapped(label: str) -> str:
    """A legend's label on lines short enough to leave most of the figure to the data."""
    width = max(LEGEND_CHARACTERS, len(label) // MAX_LINES + LEGEND_CHARACTERS // 2)
    return label if "\n" in label else "\n".join(textwrap.wrap(label, width, break_long_words=False)) or label


def _shorten_texts(drawn: Figure) -> None:
    """Cut what is too long for any figure, and show control characters: names come from results of anyone."""
    for legend in _legends(drawn):
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


def lay_out(drawn: Figure) -> None:
    """Give everything its place, as drawing would before it draws."""
    if engine := drawn.get_layout_engine():
        engine.execute(drawn)


def _space_ticks(drawn: Figure) -> None:
    """Give an axis of one number more of them, and leave out numbers that would run into one another."""
    every = [axis for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)]
    for axis in every:
        is_numbered = axis.get_scale() == "log" and any(t.label1.get_visible() for t in axis.get_major_ticks())
        for locator in (LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)), MaxNLocator(4)) if is_numbered else ():
            if len(_shown(axis)) < MIN_TICKS and not isinstance(axis.get_major_locator(), FixedLocator):
                axis.set_major_locator(locator)
                axis.set_minor_locator(NullLocator())
                lay_out(drawn)
    for axis in every:  # once the layout is final
        _thin(axis, is_across=axis.axis_name == "x")


def _shown(axis: Axis) -> list[Tick]:
    """The ticks of an axis that are within it and have a number, in order."""
    low, high = sorted(axis.get_view_interval())
    margin = 1e-9 * abs(high - low)
    ticks = [t for t in axis.get_major_ticks() if low - margin <= t.get_loc() <= high + margin]
    return sorted((t for t in ticks if t.label1.get_visible() and t.label1.get_text()), key=lambda tick: tick.get_loc())


def _thin(axis: Axis, *, is_across: bool) -> None:
    """Hide each number that comes closer to the one before it than a digit is wide."""
    if _is_category(axis):
        return
    end: float | None = None
    for tick in _shown(axis):
        box = tick.label1.get_window_extent()
        first, last = (box.x0, box.x1) if is_across else (box.y0, box.y1)
        room = TICK_ROOM_PT * float(tick.get_figure(root=True).dpi) / 72 if is_across else 0.0
        if end is not None and first < end + room:
            tick.label1.set_visible(False)
            continue
        end = last


def _is_category(axis: Axis) -> bool:
    """Whether an axis names rows instead of numbers, each of which is needed."""
    texts = [label.get_text().replace(",", "").replace(".", "") for label in axis.get_ticklabels()]
    return isinstance(axis.get_major_formatter(), FixedFormatter) and not all(t.isdigit() for t in texts if t)


def _legends(drawn: Figure) -> list[Legend]:
    return [*drawn.legends, *filter(None, (axes.get_legend() for axes in drawn.axes))]


def _grow_for_legends(drawn: Figure) -> bool:
    """Make a figure as tall as its tallest legend, which would else be cut off at the bottom; whether it had to be."""
    lowest = min((legend.get_window_extent().y0 for legend in _legends(drawn)), default=math.inf)
    missing = float(LEGEND_MARGIN - lowest / drawn.dpi)
    if missing > 0:
        drawn.set_figheight(drawn.get_figheight() + missing)
    return missing > 0
