"""The sides of a comparison as named on the command line: ``[NAME=]RESULTS[,RESULTS...]``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.load import AnalysisError, find_sweep, load_samples
from analysis.matching import Side, key_columns, split
from analysis.script import load_sweeps, names

_SAMPLE_COLUMNS = ("trial_key", "phase", "round", "seconds")


def load_side(text: str) -> Side:
    """One side; several sweeps of one side are joined by commas.

    Raises:
        AnalysisError: If one of them is no sweep.
    """
    name, separator, rest = text.partition("=")
    if not separator or "/" in name:
        name, rest = "", text
    sweeps = list(dict.fromkeys(find_sweep(path) for path in rest.split(",")))
    # A cell has the same key in every sweep and samples know none, so that both are given the sweep's name here.
    trials = load_sweeps(sweeps)
    trials["sweep_id"] = trials["sweep"]
    told = names(sweeps)
    samples = pd.concat([_samples(sweep, its_name) for sweep, its_name in zip(sweeps, told, strict=True)])
    return Side(label=name or told[0], trials=trials, samples=samples.reset_index(drop=True))


def _samples(sweep: Path, name: str) -> pd.DataFrame:
    """The measured samples of a sweep's folder; a single Parquet file of trials has none."""
    frame = load_samples(sweep, _SAMPLE_COLUMNS) if sweep.is_dir() else pd.DataFrame(columns=list(_SAMPLE_COLUMNS))
    return frame[frame["phase"] == "measure"].assign(sweep_id=name)


def load_sides(texts: Sequence[str], across: Sequence[str] = ()) -> list[Side]:
    """All sides in the order named, each split by the values of the columns in ``across``.

    Raises:
        AnalysisError: If fewer than two sides result, or a column does not exist.
    """
    sides = [load_side(text) for text in texts]
    counts = Counter(side.label for side in sides)
    for label in [label for label, n in counts.items() if n > 1]:
        raise AnalysisError(f"{counts[label]} sides are called {label!r}; name them: first={texts[0]}")
    for column in across:
        try:
            parts = [(side, part) for side in sides for part in split(side, column)]
        except ValueError as error:
            raise AnalysisError(f"--across: {error}") from error
        is_alone = len(sides) == 1
        sides = [
            Side(label=part.label if is_alone else f"{side.label} {part.label}", trials=part.trials,
                 samples=part.samples)
            for side, part in parts
        ]  # fmt: skip
    if len(sides) < 2:
        raise AnalysisError(f"a comparison needs two sides, got {', '.join(s.label for s in sides) or 'none'}")
    return sides


def check_unambiguous(sides: Sequence[Side], columns: Sequence[str]) -> None:
    """Refuse a side in which cells that differ in a column left out of the match would pass for one.

    Raises:
        AnalysisError: Naming the side, the column and its values.
    """
    key = key_columns(sides, columns)
    for side in sides:
        for positions in side.rows_by_key(key, ["complete"]).values():
            for column in columns:
                values = list(dict.fromkeys(side.rows[p].get(column) for p in positions))
                if len(values) > 1:
                    told = ", ".join(map(str, values))
                    raise AnalysisError(f"{side.label} has the same cell with {column} {told}; use --across {column}")
