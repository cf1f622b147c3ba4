"""Where the time of profiled cells goes: a table of all, and a sentence for each cell that the answer names."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.cells.naming import label, present, varying
from analysis.cells.rows import Row, records
from analysis.contract.cells import MEASURED
from analysis.page import columns
from analysis.recommendation.recommend import Task
from analysis.stats.estimate import known
from analysis.text import MISSING, escape, is_missing, joined, share, shortened

SHARES = ("host_share_ratio", "device_copy_share_ratio", "computation_share_ratio")
COLUMNS = (*SHARES, "n_kernels", "profile_reason", "trace")
LARGE = 0.3
"""Share of the step from which waiting or copying is what to mend first."""
N_NAMED, MAX_NAME = 3, 60
MAX_CELLS = 60
MAX_SENTENCES = 8

_COPY_ADVICE = "keep the data on the device, or copy it while the previous step computes"


def _profiled(frame: pd.DataFrame) -> pd.DataFrame:
    is_told = frame[list(SHARES)].notna().any(axis=1) | frame["profile_reason"].notna()
    return frame[frame["status"].isin(MEASURED) & is_told]


def _longest(row: Row, profiles: pd.DataFrame, n: int) -> list[str]:
    """The longest kernels or operations of a cell with their shares, escaped."""
    rows = profiles[(profiles["trial_key"] == row["trial_key"]) & (profiles["sweep"] == row["sweep"])]
    first = rows.sort_values("rank").head(n)
    return [
        f"{escape(shortened(str(name), MAX_NAME))} ({share(ratio)})"
        for name, ratio in zip(first["name"], first["share_ratio"], strict=True)
    ]


def table(frame: pd.DataFrame, profiles: pd.DataFrame) -> str:
    """Every profiled cell with its shares and its longest kernels or operations; empty without one."""
    cells = _profiled(frame)
    if cells.empty:
        return ""
    return columns.cell_table(cells, [
        columns.part("waiting for the host", "host_share_ratio"),
        columns.part("copies", "device_copy_share_ratio"),
        columns.part("computation", "computation_share_ratio"),
        columns.count("kernels", "n_kernels"),
        columns.Column("longest", lambda row: "; ".join(_longest(row, profiles, N_NAMED)) or MISSING),
        columns.in_word("not known because", "profile_reason")._replace(needs=["profile_reason"]),
        columns.in_word("trace", "trace")._replace(needs=["trace"]),
    ], max_rows=MAX_CELLS)  # fmt: skip


def _remedy(row: Row) -> str:
    """What to try against waiting for the host."""
    captures = row["compile"] in ("reduce-overhead", "max-autotune")
    if row["device"] == "cpu":
        return (
            "enlarge the batch" if row["compile"] != "none" else "compile it (--compile default) or enlarge the batch"
        )
    return "enlarge the batch" if captures else "capture it (--compile reduce-overhead) or enlarge the batch"


def _sentence(row: Row, name: str, profiles: pd.DataFrame) -> str | None:
    host, copies, computation = (known(row[column]) for column in SHARES)
    if host is None or copies is None or computation is None:
        return None
    where = (
        "outside PyTorch's operations, in the code that calls them"
        if row["device"] == "cpu"
        else "waiting for the host"
    )
    longest = _longest(row, profiles, 1)
    if host >= max(LARGE, copies):
        said = f"{100 * host:.0f} % of the step is {where}: {_remedy(row)}."
    elif copies >= LARGE:
        said = f"{100 * copies:.0f} % of the step is copying: {_COPY_ADVICE}."
    else:
        most = f"; the longest is {longest[0]}" if longest else ""
        said = f"{100 * computation:.0f} % of the step is computation{most}."
    return f"{name}: {said}" if name else said


def sentences(frame: pd.DataFrame, found: Sequence[Task], profiles: pd.DataFrame) -> list[str]:
    """Where the time goes in the fastest cell of each task and device that was profiled, escaped."""
    profiled = {(row["sweep"], row["trial_key"]): row for row in records(_profiled(frame))}
    told = present(frame, varying(frame, ["device", "precision", "batch_size", "compile", "threads"]))
    said = []
    for task in found:
        for best in task.best_per_device:
            row = profiled.get((best.row["sweep"], best.row["trial_key"]))
            if row is not None and not is_missing(row["sweep"]):
                said.append(_sentence(row, joined(escape(task.name), escape(label(row, told))), profiles))
    return [text for text in said if text][:MAX_SENTENCES]


def page_part(frame: pd.DataFrame, found: Sequence[Task], profiles: pd.DataFrame) -> list[str]:
    """The sentences as a list, and the table."""
    return ["\n".join(f"- {text}" for text in sentences(frame, found, profiles)), table(frame, profiles)]
