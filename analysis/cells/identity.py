"""Which machine and run a cell is of, and what stays the same while its batch size changes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.columns import CELL_COLUMNS, OPTION, STRATUM
from analysis.cells.matching import Side, key_columns
from analysis.cells.naming import present

MACHINE, RUN = "machine", "run"
"""Columns added by ``with_identity``: which machine measured, and which sweep where there are several."""
_NAMES = (MACHINE, RUN, "node", "sweep", "host", "trial_key", "status", "item", "items_per_step")
"""What names a row and its work besides the columns of a cell."""
_SETTINGS = ("torch_version", "torchvision_version", "driver_version", "device_name", "n_threads", "allocator_settings",
             "device_settings", "input_shape", "weights", "input_source", "n_train_items",
             "n_heldout_items")  # fmt: skip
"""What must not change along a line, and is no axis: sweeps that differ in one have lines of their own."""


def with_identity(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame of ``read.sweeps.load_sweeps`` with the columns that tell lines apart added.

    These are ``option NAME`` for each option of a workload that is an axis, ``machine`` (null where all cells come from
    one) and ``run`` (the sweep's name; null unless the same cell, or other versions or inputs, come from several sweeps
    on one machine).
    """
    if frame.empty:
        return frame.assign(**{MACHINE: None, RUN: None})
    side = Side(label="all", trials=frame)
    options = [name for name in key_columns([side]) if name in side.options and name not in frame]
    origins = _origins(frame)
    machine = _machines(frame.assign(sweep=origins))
    added = pd.concat([frame, side.options[options]], axis=1).assign(**{MACHINE: machine})
    is_apart = _must_tell_runs_apart(added.assign(sweep=origins), options)
    return added.assign(**{RUN: origins if is_apart else None})


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
    if frame[cell].duplicated().any():
        return True
    groups = frame.groupby(present(frame, ("workload", "model", "pipeline", "device", MACHINE)), dropna=False)
    settings = present(frame, _SETTINGS)
    return bool(settings) and bool((groups[settings].nunique() > 1).to_numpy().any())


def narrowed(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Of a frame of ``with_identity`` the columns that name a cell, and those asked for; KeyError without one of these.

    A large sweep is sliced hundreds of times; columns that nobody reads would be copied each time.
    """
    if absent := [c for c in columns if c not in frame]:
        raise KeyError(f"no column {', '.join(absent)} was read of the results")
    kept = {*CELL_COLUMNS, *_NAMES, *columns}
    return frame[[c for c in frame if c in kept or str(c).startswith(OPTION)]]


def stratum_columns(frame: pd.DataFrame) -> list[str]:
    """Columns that tell the lines of a frame of ``with_identity`` apart: all of a cell's but the batch size."""
    options = [str(c) for c in frame if str(c).startswith(OPTION)]
    cell = dict.fromkeys([*STRATUM, *CELL_COLUMNS, "node", *options, MACHINE, RUN])
    return present(frame, [c for c in cell if c != "batch_size"])
