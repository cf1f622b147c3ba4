"""Which cells belong together: those that differ in nothing but the batch size, on one machine, in one run."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.columns import CELL_COLUMNS, STRATUM
from analysis.cells.matching import Side, key_columns
from analysis.cells.naming import label, present, varying, word
from analysis.cells.rows import Row, records
from analysis.contract.cells import TASK_COLUMNS

MACHINE, RUN = "machine", "run"
"""Columns added by ``with_identity``: which machine measured, and which sweep where that must be told apart."""
_SETTINGS = ("torch_version", "torchvision_version", "driver_version", "device_name", "n_threads",
             "allocator_settings", "input_shape", "weights", "input_source", "n_train_items",
             "n_heldout_items")  # fmt: skip
"""What must not change along a line, and is no axis: sweeps that differ in one have lines of their own."""


def with_identity(frame: pd.DataFrame) -> pd.DataFrame:
    """The trials with the columns that tell lines apart added.

    Args:
        frame: Of ``script.load_sweeps``.

    Returns:
        The rows as they are, with a column ``option NAME`` for each option of a workload that is an axis, ``machine``
        (null where all cells come from one) and ``run`` (the sweep's name; null unless the same cell, or other
        versions or inputs, come from several sweeps on one machine).
    """
    if frame.empty:
        return frame.assign(**{MACHINE: None, RUN: None})
    side = Side(label="all", trials=frame, samples=pd.DataFrame())
    options = [name for name in key_columns([side]) if name in side.options and name not in frame]
    machine = _machines(frame.assign(sweep=_origins(frame)))
    added = pd.concat([frame, side.options[options]], axis=1)
    origins = _origins(frame)
    added["sweep"] = origins
    is_apart = _must_tell_runs_apart(added.assign(**{MACHINE: machine}), options)
    return added.assign(**{MACHINE: machine, RUN: origins if is_apart else None, "sweep": frame["sweep"]})


def _origins(frame: pd.DataFrame) -> pd.Series:
    """The sweep that a row is of; of a merged sweep, the one that it was merged from."""
    if "sweep_id" not in frame:
        return frame["sweep"]
    n_merged = frame.groupby("sweep")["sweep_id"].transform("nunique")
    return frame["sweep"].where(n_merged < 2, frame["sweep_id"])


def _machines(frame: pd.DataFrame) -> pd.Series | None:
    """A machine's name in words: that of its sweeps, and its host where a sweep ran on several."""
    hosts = frame["host"].fillna("unknown")
    if hosts.nunique() < 2:
        return None
    told = {}
    for host, rows in frame.groupby(hosts, sort=False):
        sweeps = list(dict.fromkeys(rows["sweep"]))
        is_shared = hosts[frame["sweep"].isin(sweeps)].nunique() > 1
        told[host] = "+".join(sweeps) + (f" host {host}" if is_shared else "")
    return hosts.map(told)


def _must_tell_runs_apart(frame: pd.DataFrame, options: list[str]) -> bool:
    if frame["sweep"].nunique() < 2:
        return False
    cell = [*present(frame, (*CELL_COLUMNS, "node", MACHINE)), *options]
    if frame.duplicated(cell).any():
        return True
    groups = frame.groupby(present(frame, ("workload", "model", "pipeline", "device", MACHINE)), dropna=False)
    settings = present(frame, _SETTINGS)
    return bool(settings) and bool((groups[settings].nunique() > 1).to_numpy().any())


def line_columns(frame: pd.DataFrame) -> list[str]:
    """Columns that tell the lines of a frame of ``with_identity`` apart: all of a cell's but the batch size."""
    options = [str(c) for c in frame if str(c).startswith("option ")]
    cell = dict.fromkeys([*STRATUM, *CELL_COLUMNS, "node", *options, MACHINE, RUN])
    return present(frame, [c for c in cell if c != "batch_size"])


def tasks(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The frame by what is done, each with its name in words; empty words where all do the same.

    Args:
        frame: Of ``with_identity``.
    """
    names = varying(frame, TASK_COLUMNS)
    if not names:
        return [("", frame)] if len(frame) else []
    return [(label(first(group[names]), names), group) for _, group in frame.groupby(names, sort=False, dropna=False)]


def lines(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The frame by line, each with what tells it from the others in words, by batch size; in the order of the rows.

    Args:
        frame: Of ``with_identity``; usually one task's rows.
    """
    if frame.empty:
        return []
    names = line_columns(frame)
    if not names:  # of an older schema that knows no settings
        return [("", frame.sort_values("batch_size", kind="stable"))]
    told = [c for c in names if c in {"device", "precision"} or c in varying(frame, names)]
    groups = frame.groupby(names, sort=False, dropna=False)
    return [(label(first(group[told]), told), group.sort_values("batch_size", kind="stable")) for _, group in groups]


def words(row: Row, columns: Sequence[str]) -> str:
    """The named settings of a row in words; empty where all of them go without saying."""
    return ", ".join(said for column in columns if (said := word(column, row.get(column))) is not None)


def first(frame: pd.DataFrame) -> Row:
    """The first row of a frame that has one."""
    return records(frame.head(1))[0]
