"""Several sweeps as one frame, and what a page is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.contract.runs import COUNTED_BY, n_asked
from analysis.read.published import PUBLISHED, has_more_tables
from analysis.read.sweep import (
    PROFILE_COLUMNS,
    ROUND_COLUMNS,
    find_sweep,
    load_description,
    load_profiles,
    load_rounds,
    load_sweep,
    with_columns,
)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a report is made from and where it goes."""

    trials: pd.DataFrame  # of load_sweeps
    sweeps: Sequence[Path]  # folders or Parquet files
    figures: Path  # a folder, figures/NAME.png seen from the page

    @cached_property
    def rounds(self) -> pd.DataFrame:
        """The rounds of all sweeps, with a column ``sweep``; read when first asked for."""
        return load_all_rounds(self.sweeps)

    @cached_property
    def profiles(self) -> pd.DataFrame:
        """The longest kernels or operations of profiled cells, with a column ``sweep``."""
        return load_all_profiles(self.sweeps)

    @property
    def descriptions(self) -> dict[str, dict[str, Any]]:
        """What was asked of each sweep, by its name in the column ``sweep``; empty where no description is there."""
        return {name: load_description(sweep) for name, sweep in zip(names(self.sweeps), self.sweeps, strict=True)}


def load_sweeps(paths: Sequence[str | Path], columns: Sequence[str] = ()) -> pd.DataFrame:
    """The trials of several sweeps as one frame, in the order named, the same sweep twice only once.

    As ``load_sweep``'s, with the columns named where an older schema lacks them, null, and with a column ``sweep``:
    which of the sweeps a row is of, by ``names``. ``attrs`` has ``paths``, ``unreadable``, ``asked``, the number of
    rows asked for (None: unknown), ``missing``, how many of them are not there, and ``short``, the sweeps that lack
    some. AnalysisError if one of them is no sweep.
    """
    sweeps = find_sweeps(paths)
    parts = [load_sweep(sweep) for sweep in sweeps]
    for part, name in zip(parts, names(sweeps), strict=True):
        part["sweep"] = name
    filled = [part for part in parts if len(part)]
    # An all-null column is object in one sweep and a number in another; null must not decide the type.
    frame = pd.concat([part.dropna(axis=1, how="all") for part in filled], ignore_index=True) if filled else parts[0]
    everything = dict.fromkeys([*(c for part in parts for c in part.columns), *columns, "sweep_id", "status"])
    frame = with_columns(frame, {column: _null_type(column) for column in everything}).copy()  # in one piece
    unreadable = [name for part in parts for name in part.attrs["unreadable"]]
    asked = [_n_asked(part) for part in parts]
    short = {name: n - len(part) for name, n, part in zip(names(sweeps), asked, parts, strict=True)
             if n is not None and n > len(part)}  # fmt: skip
    frame.attrs = {
        "paths": [str(sweep) for sweep in sweeps], "unreadable": unreadable, "missing": sum(short.values()),
        "asked": None if None in asked else sum(asked), "short": list(short),
    }  # fmt: skip
    return frame


def _n_asked(part: pd.DataFrame) -> int | None:
    """Rows that a sweep was asked for; unknown of a search, which may end early with every cell of its space known."""
    description = part.attrs["description"]
    if (description.get("config") or {}).get("search") or not isinstance(description.get("n_cells"), int):
        return None
    names = list(COUNTED_BY)
    rows = part.reindex(columns=names).to_numpy(dtype=object)
    return n_asked(description, [dict(zip(names, row, strict=True)) for row in rows])


def find_sweeps(paths: Sequence[str | Path]) -> list[Path]:
    """The folders (or files) that the paths name, each once, in the order named; AnalysisError if one is no sweep."""
    found: dict[Path, Path] = {}
    for path in paths:
        sweep = find_sweep(path)
        found.setdefault(sweep.resolve(), sweep)
    return list(found.values())


def load_all_rounds(sweeps: Sequence[Path]) -> pd.DataFrame:
    """The rounds of several sweeps of ``find_sweeps`` as one frame, those of a published one from beside it.

    As ``load_rounds``'s, with ``sweep`` as in ``load_sweeps``, since a cell has the same key in every sweep. Columns
    that an older schema lacks are null.
    """
    return _of_all(sweeps, load_rounds, {**dict.fromkeys(ROUND_COLUMNS, "float64"), "trial_key": "object"})


def load_all_profiles(sweeps: Sequence[Path]) -> pd.DataFrame:
    """The profiles of several sweeps of ``find_sweeps`` as one frame, with ``sweep`` as in ``load_sweeps``."""
    return _of_all(sweeps, load_profiles, dict.fromkeys(PROFILE_COLUMNS, "object"))


def _of_all(sweeps: Sequence[Path], load: Callable[[Path], pd.DataFrame], types: Mapping[str, str]) -> pd.DataFrame:
    """A table of several sweeps, of those that have it."""
    told = zip(names(sweeps), sweeps, strict=True)
    parts = [load(sweep).assign(sweep=name) for name, sweep in told if has_more_tables(sweep)]
    filled = [part for part in parts if len(part)]
    frame = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
    return with_columns(frame, {"sweep": "object", **types})


def names(sweeps: Sequence[Path]) -> list[str]:
    """What tells the sweeps apart in words: their folders' names, numbered where two are called alike."""
    folders = [sweep.parent if sweep.name == PUBLISHED else sweep for sweep in sweeps]
    plain = [folder.stem if folder.is_file() else folder.resolve().name for folder in folders]
    return [n if plain.count(n) == 1 else f"{n} ({plain[:i].count(n) + 1})" for i, n in enumerate(plain)]


_UNITS = ("_s", "_bytes", "_j", "_w", "_c", "_ratio", "_mhz", "_diff", "_step", "_byte", "_size", "_rate", "_mean")


def _null_type(column: str) -> str:
    return "float64" if column.endswith(_UNITS) or column.startswith(("n_", "queue_", "accuracy")) else "object"
