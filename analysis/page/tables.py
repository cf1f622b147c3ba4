"""Tables on a sweep as a whole, as Markdown: how its cells ended, what did not work, what measured."""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd

from analysis.cells import rows as summaries
from analysis.cells.naming import label, varying
from analysis.contract.cells import TASK_COLUMNS
from analysis.text import MISSING, escape, gibibytes, is_missing, some, table

MAX_FAILURES = 40
"""Kinds of failure shown."""
MAX_NAMED = 3
"""Cells named of one kind of failure."""
MAX_TEXT = 240


def grid_table(frame: pd.DataFrame) -> str:
    """Cells by device and precision (rows) and status (columns)."""
    statuses = list(summaries.status_counts(frame))
    rows = []
    for (device, precision), group in frame.groupby(["device", "precision"], sort=False):
        counts = summaries.status_counts(group)
        numbers = (*(counts.get(s, 0) for s in statuses), len(group))
        rows.append([escape(device), escape(precision), *(f"{n:,}" for n in numbers)])
    return table(["device", "precision", *statuses, "cells"], rows, n_left=2) if rows else ""


def failures_table(frame: pd.DataFrame) -> str:
    """What did not work, with its reason: one row a kind of failure, at most ``MAX_FAILURES`` of them."""
    failed = frame[~frame["status"].isin(["complete", "pruned"])]
    if failed.empty:
        return ""
    names = [*varying(frame, TASK_COLUMNS), *summaries.setting_columns(frame)]
    kinds: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for row in summaries.records(failed):
        reason = _reason(row)
        # Sizes and addresses differ from cell to cell; the failure is the same.
        kind = (str(row["status"]), re.sub(r"0x[0-9a-f]+|\d[\d.,]*", "#", reason))
        kinds.setdefault(kind, []).append((label(row, names), reason))
    rows = []
    for (status, _), cells in list(kinds.items())[:MAX_FAILURES]:
        named = some([name for name, _ in cells], MAX_NAMED, "; ")
        rows.append([escape(status), escape(named), escape(cells[0][1]), f"{len(cells):,}"])
    text = table(["status", "cells", "reason", "number"], rows, n_left=3)
    left = len(kinds) - MAX_FAILURES
    return f"{text}\n\n{left:,} more kinds of failure are in the Parquet files." if left > 0 else text


def _reason(row: summaries.Row) -> str:
    """Reason, type and message, each once, cut where a page would drown in them.

    Of what is unsupported the type says no more than the status does.
    """
    columns = ["status_reason", "error_type", "error_message"]
    if row["status"] == "unsupported":
        columns.remove("error_type")
    said = [str(row[c]) for c in columns if not is_missing(row[c])]
    text = ": ".join(x for i, x in enumerate(said) if x not in said[:i])
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _plain(column: str) -> Callable[[summaries.Row], str]:
    return lambda row: "" if is_missing(row.get(column)) else escape(row[column])


def _memory(column: str) -> Callable[[summaries.Row], str]:
    return lambda row: "" if is_missing(row.get(column)) else gibibytes(row[column])


def _energy(row: summaries.Row) -> str:
    """What counts energy, and what of the machine it covers."""
    if is_missing(row.get("energy_source")):
        return MISSING
    domain = row.get("energy_domain")
    return escape(row["energy_source"] if is_missing(domain) else f"{row['energy_source']}, of the {domain}")


def _proof(row: summaries.Row) -> str:
    proven = row.get("timing_verified")
    return MISSING if is_missing(proven) else "passed" if proven else "failed"


ENVIRONMENT: tuple[tuple[str, Callable[[summaries.Row], str]], ...] = (
    ("device", _plain("device_name")), ("device memory (GiB)", _memory("device_total_bytes")),
    ("driver", _plain("driver_version")), ("timer's proof", _proof), ("energy counter", _energy),
    ("processor", _plain("cpu_name")), ("vector instructions", _plain("cpu_capability")),
    ("CPUs", _plain("n_cpus")), ("threads", _plain("n_threads")),
    ("memory (GiB)", _memory("host_total_bytes")), ("allocator", _plain("allocator_settings")),
    ("system", _plain("os")), ("Python", _plain("python_version")),
    ("torch", _plain("torch_version")), ("torchvision", _plain("torchvision_version")), ("Ray", _plain("ray_version")),
    ("accelsweep", _plain("accelsweep_version")), ("commit", _plain("git_commit")), ("host", _plain("host")),
)  # fmt: skip


def environment_table(frame: pd.DataFrame) -> str:
    """What measured: one column per device, machine and version of torch; what is unknown throughout is left out."""
    keys = ["device", "host", "torch_version"]
    known = frame.dropna(subset=["torch_version"])
    if known.empty:
        return ""
    whole = {c: known[c].astype("Int64") for c in ("n_cpus", "n_threads") if c in known and known[c].notna().any()}
    devices = summaries.records(known.assign(**whole).groupby(keys, sort=False, dropna=False).first().reset_index())
    shown = [[title, *(show(device) for device in devices)] for title, show in ENVIRONMENT]
    rows = [row for row in shown if any(row[1:])]
    return table(["", *(escape(d["device"]) for d in devices)], rows, n_left=1 + len(devices))
