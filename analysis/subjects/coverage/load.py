"""Reading a coverage sweep's ``operations`` table as a pandas frame, whatever state its folder is in."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.contract.parts import PARTS, files_of, strangers, without_nan
from analysis.read.sweep import AnalysisError, find_folder, read_description, without_cells

SCHEMA_VERSION = 1
DESCRIPTION = "coverage.json"
TABLE = "operations"
JOINED = re.compile(r"all-[0-9]+\.parquet")
OWN = re.compile(rf"{JOINED.pattern}|{PARTS.pattern}")
IDENTITY = ["source", "operation", "device", "dtype", "direction"]
DTYPES = ("fp32", "fp16", "bf16", "int8", "uint8")
DIRECTIONS = ("forward", "backward")
VERDICTS = ("supported", "fallback", "unsupported", "wrong values", "wrong by rounding", "crashed", "timeout",
            "unknown")  # fmt: skip
"""As reports count them: wrong answers that rounding explains are a kind of their own."""
FASTER = 1.3
"""A median of a few calls differs by up to a quarter between two runs on an idle machine; less is no difference."""
WORKS = ("supported", "wrong by rounding")
WHOLES = ("models", "workloads")
"""Sources that are whole, which predictions have beside the operations."""
NEEDED = (*IDENTITY, "operation_key", "family", "verdict")


def find_coverage(path: str | Path) -> Path:
    """The folder of one coverage sweep, or a Parquet file: the path itself, or the latest in a results folder.

    Raises:
        AnalysisError: If there is none.
    """
    return find_folder(path, "coverage sweep", TABLE, DESCRIPTION, "op-coverage")


def is_predicted(frame: pd.DataFrame) -> bool:
    """Whether a frame of ``load_coverage`` holds predictions instead of what was run."""
    return "evidence" in frame and bool((frame["evidence"] == "predicted").any())


def load_coverage(path: str | Path) -> pd.DataFrame:
    """The rows of a coverage sweep that ``find_coverage`` finds, one per operation, type, direction and device.

    Returns:
        All columns, and ``outcome``: one of VERDICTS. ``attrs`` has ``path``, ``description`` and ``unreadable``.

    Raises:
        AnalysisError: If there is none, or it is no such table.
    """
    sweep = find_coverage(path)
    joined = [sweep] if sweep.is_file() else files_of(sweep / TABLE, JOINED)
    parts = [] if sweep.is_file() else files_of(sweep / TABLE, PARTS)
    frames: list[pd.DataFrame] = []
    unreadable = strangers(sweep / TABLE, OWN)
    for order, file in enumerate([*joined, *parts]):
        try:
            frames.append(without_nan(pq.read_table(file, partitioning=None)).to_pandas().assign(_file=order))
        except (pa.ArrowInvalid, OSError):
            unreadable.append(file.name)
    if not frames:
        raise AnalysisError(f"{str(sweep)!r} holds no rows yet")
    frame = pd.concat([f.dropna(axis=1, how="all") for f in frames], ignore_index=True)
    absent = [name for name in NEEDED if name not in frame]
    if absent:
        raise AnalysisError(f"{str(sweep)!r} is not a coverage table: it lacks {', '.join(absent)}")
    # What was written last of a cell holds, whole.
    frame = frame[frame["_file"] == frame.groupby("operation_key")["_file"].transform("max")].drop(columns="_file")
    for name in pq.read_schema(joined[0] if joined else parts[0]).names:
        if name not in frame:
            frame[name] = None
    frame["outcome"] = [
        "wrong by rounding" if by == "rounding" else "wrong values" if verdict == "wrong" else verdict
        for verdict, by in zip(frame["verdict"], frame["wrong_by"], strict=True)
    ]
    ordered = {
        name: pd.CategoricalDtype(known, ordered=True) for name, known in (("dtype", DTYPES), ("direction", DIRECTIONS))
    }
    keys = ["device", "source", "family", "operation", "dtype", "direction"]
    frame = frame.astype(ordered).sort_values(keys, ignore_index=True).astype(dict.fromkeys(ordered, str))
    description = without_cells(read_description(sweep / DESCRIPTION, SCHEMA_VERSION)) if sweep.is_dir() else {}
    frame.attrs = {"path": str(sweep), "description": description, "unreadable": unreadable}
    return frame
