"""The sides of a comparison as named on the command line: ``[NAME=]RESULTS[,RESULTS...]``, or ``NAME='FOLDER/*'``."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from analysis.cells.matching import Side, key_columns, split
from analysis.read.sweep import AnalysisError
from analysis.read.sweeps import find_sweeps, load_sweeps, names


def load_side(text: str) -> Side:
    """One side, its sweeps joined by commas or matched by a pattern; an AnalysisError where one is no sweep."""
    name, separator, rest = text.partition("=")
    if not separator or "/" in name:
        name, rest = "", text
    sweeps = find_sweeps([path for piece in rest.split(",") for path in _expanded(piece)])
    trials = load_sweeps(sweeps)
    trials["origin"] = trials["sweep_id"]  # the sweeps that a merged one was made of, for --across origin
    trials["sweep_id"] = trials["sweep"]
    return Side(label=name or "+".join(names(sweeps)), trials=trials)


def _expanded(piece: str) -> list[str]:
    """The folders that a pattern such as ``mac/*`` matches, in their order; a shell does not look behind ``mac=``."""
    there, rest = Path(), list(Path(piece).parts)
    while rest and (there / rest[0]).exists():  # a folder may be called ``runs[1]``
        there /= rest.pop(0)
    if not rest or not glob.has_magic(str(Path(*rest))):
        return [piece]
    found = (there / path for path in glob.glob(str(Path(*rest)), root_dir=there))
    return sorted(str(path) for path in found if path.is_dir()) or [piece]


def load_sides(texts: Sequence[str], across: Sequence[str] = (), baseline: str | None = None) -> list[Side]:
    """All sides as named on the command line, each split by the values of ``across``; the baseline first.

    Raises:
        AnalysisError: If fewer than two sides result, or a column or the baseline does not exist.
    """
    sides = [load_side(text) for text in texts]
    counts = Counter(side.label for side in sides)
    for label in [label for label, n in counts.items() if n > 1]:
        raise AnalysisError(f"{counts[label]} sides are named {label!r}; name them: first={texts[0]}")
    for column in across:
        try:
            parts = [(side, part) for side in sides for part in split(side, column)]
        except ValueError as error:
            raise AnalysisError(f"--across: {error}") from error
        is_alone = len(sides) == 1
        sides = [part if is_alone else replace(part, label=f"{side.label} {part.label}") for side, part in parts]
    if len(sides) < 2:
        raise AnalysisError(f"a comparison needs two sides, got {', '.join(s.label for s in sides) or 'none'}")
    if baseline is not None and baseline not in (side.label for side in sides):
        raise AnalysisError(f"no side is named {baseline!r}; the sides are {', '.join(s.label for s in sides)}")
    return sorted(sides, key=lambda side: baseline is not None and side.label != baseline)


def check_known(sides: Sequence[Side], columns: Sequence[str]) -> None:
    """Refuse, by an AnalysisError that names it, a column that no side has: a slip of the keyboard."""
    for column in columns:
        if not any(name in side.facts for side in sides for name in (column, f"option {column}")):
            raise AnalysisError(f"--allow-different: results have no column or option {column!r}")


def check_unambiguous(sides: Sequence[Side], columns: Sequence[str]) -> None:
    """Refuse, by an AnalysisError, a side in which cells that differ in a column left out of the match pass for one."""
    key = key_columns(sides, columns)
    for side in sides:
        for positions in side.rows_by_key(key, ["complete"]).values():
            for column in columns:
                values = list(dict.fromkeys(side.rows[p].get(column) for p in positions))
                if len(values) > 1:
                    told = ", ".join(map(str, values))
                    raise AnalysisError(f"{side.label} has the same cell with {column} {told}; use --across {column}")
