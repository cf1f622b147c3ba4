"""What the report scripts share: several sweeps as one frame, one page written, figures beside it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.load import AnalysisError, find_sweep, load_sweep
from analysis.page import write_html
from analysis.render import escape


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a report is made from and where it goes.

    Attributes:
        trials: The rows of all sweeps named; ``attrs`` has ``unreadable`` and ``paths``.
        sweeps: Their folders (or Parquet files).
        figures: Folder for the figures, as ``figures/NAME.png`` seen from the page.
    """

    trials: pd.DataFrame
    sweeps: Sequence[Path]
    figures: Path

    @property
    def caveats(self) -> list[str]:
        """What was left out while reading, and what is missing."""
        unreadable, missing = self.trials.attrs["unreadable"], self.trials.attrs["missing"]
        said = []
        if unreadable:
            n = len(unreadable)
            files, were = ("file", "was") if n == 1 else ("files", "were")
            said.append(f"{n} {files} could not be read and {were} left out: {escape(', '.join(unreadable))}.")
        if missing:
            said.append(f"{missing} cells asked for are missing: the sweep did not end.")
        return said


def load_sweeps(paths: Sequence[str | Path], columns: Sequence[str] = ()) -> pd.DataFrame:
    """The trials of several sweeps as one frame, in the order named.

    Args:
        paths: Sweeps, results folders (their latest sweep) or Parquet files; the same sweep twice counts once.
        columns: Added as nulls where an older schema lacks them.

    Returns:
        As ``load_sweep``'s, with a column ``sweep``: which of the sweeps a row is of, by ``names``. ``attrs`` has
        ``paths``, ``unreadable`` and ``missing``, the number of cells asked for that have no row.

    Raises:
        AnalysisError: If one of them is no sweep.
    """
    sweeps = list(dict.fromkeys(find_sweep(path) for path in paths))
    parts = [load_sweep(sweep) for sweep in sweeps]
    for part, name in zip(parts, names(sweeps), strict=True):
        part["sweep"] = name
    filled = [part for part in parts if len(part)]
    # An all-null column is object in one sweep and a number in another; null must not decide the type.
    frame = pd.concat([part.dropna(axis=1, how="all") for part in filled], ignore_index=True) if filled else parts[0]
    everything = dict.fromkeys([*(c for part in parts for c in part.columns), *columns, "sweep_id", "status"])
    absent = {c: pd.Series(None, index=frame.index, dtype=_null_type(c)) for c in everything if c not in frame}
    frame = pd.concat([frame, pd.DataFrame(absent, index=frame.index)], axis=1)
    unreadable = [name for part in parts for name in part.attrs["unreadable"]]
    missing = sum(max(0, (p.attrs["description"].get("n_cells") or 0) - len(p)) for p in parts)
    frame.attrs = {"paths": [str(sweep) for sweep in sweeps], "unreadable": unreadable, "missing": missing}
    return frame


def names(sweeps: Sequence[Path]) -> list[str]:
    """What tells the sweeps apart in words: their folders' names, numbered where two are called alike."""
    plain = [sweep.stem if sweep.is_file() else sweep.name for sweep in sweeps]
    return [n if plain.count(n) == 1 else f"{n} ({plain[:i].count(n) + 1})" for i, n in enumerate(plain)]


_UNITS = ("_s", "_bytes", "_j", "_w", "_c", "_ratio", "_mhz", "_diff", "_step", "_byte", "_size", "_rate", "_mean")


def _null_type(column: str) -> str:
    return "float64" if column.endswith(_UNITS) or column.startswith(("n_", "queue_", "accuracy")) else "object"


def parser(description: str) -> argparse.ArgumentParser:
    """The command line that every report script has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("results", nargs="*", default=["results"], metavar="RESULTS",
                      help="sweeps, or results folders (their latest sweep); default: results")  # fmt: skip
    made.add_argument("--output", type=Path, help="the Markdown file (default: in the sweep's folder)")
    made.add_argument("--html", action="store_true", help="also write one self-contained HTML file")
    return made


def default_output(sweeps: Sequence[Path], name: str) -> Path:
    """``NAME.md`` in the sweep's folder; of several sweeps in the folder that holds the first."""
    first = sweeps[0] if sweeps[0].is_dir() else sweeps[0].parent
    return (first if len(sweeps) == 1 else first.parent) / f"{name}.md"


def write_page(path: Path, text: str, *, html: bool) -> Path:
    """Write the Markdown, and the HTML page where asked; returns what a reader should open.

    Raises:
        AnalysisError: If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"cannot write {str(path)!r}: {error.strerror}") from error
    return write_html(path) if html else path


def run_report(
    arguments: Sequence[str], *, name: str, description: str, build: Callable[[Page], str], columns: Sequence[str]
) -> int:
    """The whole of a report script's main: read, build, write, print the file's name.

    Args:
        arguments: Of the command line.
        name: Of the page, without suffix.
        description: For ``--help``.
        build: Makes the Markdown and draws the figures.
        columns: Columns of the trials table that ``build`` reads.
    """
    options: Any = parser(description).parse_args(arguments)
    sweeps = list(dict.fromkeys(find_sweep(path) for path in options.results))
    target = options.output or default_output(sweeps, name)
    page = Page(trials=load_sweeps(sweeps, columns), sweeps=sweeps, figures=target.parent / "figures")
    text = build(page)
    sys.stdout.write(f"{write_page(target, text, html=options.html)}\n")
    return 0
