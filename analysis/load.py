"""Reading a sweep's Parquet files as pandas frames, whatever state the folder is in.

``load_sweep("results")`` is the latest sweep's trials, one row a cell. Needs nothing but pandas and pyarrow.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SCHEMA_VERSION = 1
DESCRIPTION = "sweep.json"
TRIAL_STRINGS = ("trial_key", "status", "status_reason", "error_type", "error_message", "workload", "device", "model",
                 "precision", "memory_format", "compile", "pipeline", "tune", "scenario", "item", "weights",
                 "stability", "options", "throttle_reasons", "energy_source", "leak_verdict",
                 "pruned_on", "pruned_against",
                 "search_role", "host", "device_name", "torch_version", "node")  # fmt: skip
TRIAL_NUMBERS = ("batch_size", "items_per_step", "learning_rate", "rate_per_s", "throughput_items_per_s",
                 "throughput_low_items_per_s", "throughput_high_items_per_s", "step_median_s", "step_median_low_s",
                 "step_median_high_s", "step_iqr_ratio", "latency_p50_s", "latency_p90_s", "latency_p95_s",
                 "latency_p99_s", "latency_p999_s", "device_peak_allocated_bytes", "device_peak_reserved_bytes",
                 "peak_rss_bytes", "energy_per_item_j", "items_per_j", "accuracy_best", "accuracy_final",
                 "time_to_target_s", "energy_to_target_j", "measured_s", "wall_s", "n_samples", "n_rounds",
                 "other_load_ratio", "drift_ratio", "top1_agreement_ratio", "max_softmax_diff", "target_accuracy",
                 "trial_index", "n_images_skipped")  # fmt: skip
TRIAL_FLAGS = ("timing_verified", "is_drifting", "is_throttled", "is_precise", "input_is_synthetic", "constraints_held")


class AnalysisError(Exception):
    """The results cannot be read as asked; one line for the user, exit code 2."""


def run_main(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> int:
    """Run a script's main: an AnalysisError is one line on standard error and exit code 2."""
    try:
        return main(sys.argv[1:] if arguments is None else arguments)
    except AnalysisError as error:
        sys.stderr.write(f"{Path(sys.argv[0]).name}: error: {error}\n")
        return 2


def find_sweep(path: str | Path = "results") -> Path:
    """The folder of one sweep: the path itself, or the latest sweep in a results folder.

    Raises:
        AnalysisError: If there is none.
    """
    folder = Path(path)
    if (folder / "trials").is_dir() or folder.is_file():
        return folder
    sweeps = [p.parent for p in folder.glob(f"*/{DESCRIPTION}")]
    if not sweeps:
        raise AnalysisError(f"{str(folder)!r} holds no sweep; run one with `accelsweep finetune`, or name its folder")
    return max(sweeps, key=lambda p: (load_description(p).get("created_at", ""), p.name))


def load_description(path: str | Path) -> dict[str, Any]:
    """What was asked of a sweep (``sweep.json``); empty where the file is missing.

    Raises:
        AnalysisError: If it is of a schema version that this analysis does not know.
    """
    file = Path(path) / DESCRIPTION
    if not file.is_file():
        return {}
    try:
        description: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise AnalysisError(f"{str(file)!r} is no JSON: {error}") from error
    version = description.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise AnalysisError(
            f"{Path(path).name}: schema version {version!r}; this analysis reads up to {SCHEMA_VERSION}"
        )
    return description


def _read_table(
    sweep: Path, table: str, columns: Sequence[str] | None = None, filters: Any = None
) -> tuple[pa.Table | None, list[str]]:
    """All parts of a table, and the names of those that could not be read; None where there are no parts."""
    files = [sweep] if sweep.is_file() else sorted((sweep / table).glob("[!._]*.parquet"))
    tables, unreadable, superseded = [], [], set()
    for file in files:
        try:
            metadata = pq.read_schema(file).metadata or {}
        except (pa.ArrowInvalid, OSError):
            continue
        superseded |= set(json.loads(metadata.get(b"compacted_parts", b"[]"))) - {file.name}
    for file in files:
        if file.name in superseded:
            continue
        try:
            names = None if columns is None else [c for c in columns if c in pq.read_schema(file).names]
            tables.append(pq.read_table(file, columns=names, filters=filters, partitioning=None))
        except (pa.ArrowInvalid, OSError):
            unreadable.append(file.name)
    if not tables:
        return None, unreadable
    return pa.concat_tables(tables, promote_options="permissive"), unreadable


def load_sweep(path: str | Path = "results") -> pd.DataFrame:
    """The trials of a sweep, one row a cell, in the order of its grid.

    Args:
        path: A sweep's folder, a results folder (its latest sweep is taken), or a Parquet file.

    Returns:
        All columns of the files; those that an older schema lacks are added, null. ``attrs`` has ``path``,
        ``description`` and ``unreadable``, the names of files that were skipped.

    Raises:
        AnalysisError: If there is no sweep or its schema is not known.
    """
    sweep = find_sweep(path)
    description = load_description(sweep) if sweep.is_dir() else {}
    table, unreadable = _read_table(sweep, "trials")
    frame = pd.DataFrame() if table is None else table.to_pandas()
    missing = {c: pd.Series(dtype=t, index=frame.index)
               for names, t in ((TRIAL_STRINGS, "object"), (TRIAL_NUMBERS, "float64"), (TRIAL_FLAGS, "object"))
               for c in names if c not in frame}  # fmt: skip
    frame = pd.concat([frame, pd.DataFrame(missing, index=frame.index)], axis=1)
    for name in TRIAL_NUMBERS:
        frame[name] = pd.to_numeric(frame[name])
    frame = frame.sort_values(["trial_index", "trial_key"], kind="stable", ignore_index=True)
    frame.attrs = {"path": str(sweep), "description": description, "unreadable": unreadable}
    return frame


def load_samples(
    path: str | Path = "results", columns: Sequence[str] | None = None, keys: Sequence[str] | None = None
) -> pd.DataFrame:
    """The raw samples of a sweep: trial_key, phase, round, index, seconds, scheduled_s.

    Args:
        path: As for ``load_sweep``.
        columns: Read these only.
        keys: Of these cells only.
    """
    chosen = None if keys is None else pc.field("trial_key").isin(list(keys))
    table, _ = _read_table(find_sweep(path), "samples", columns, chosen)
    return pd.DataFrame(columns=list(columns or [])) if table is None else table.to_pandas()


def load_rounds(path: str | Path = "results") -> pd.DataFrame:
    """The rounds of a sweep: throughput, and for training the held-out accuracy, round by round."""
    table, _ = _read_table(find_sweep(path), "rounds")
    if table is None:
        return pd.DataFrame(columns=["trial_key", "round", "elapsed_s", "throughput_items_per_s", "accuracy", "loss"])
    return table.to_pandas().sort_values(["trial_key", "round"], kind="stable", ignore_index=True)
