"""Reading a sweep's Parquet files as pandas frames, whatever state the folder is in.

``load_sweep("results")`` is the latest sweep's trials, one row a cell. Needs nothing but pandas and pyarrow.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.contract.allocators import DEFAULT
from analysis.contract.parts import DESCRIPTION, strangers
from analysis.read.checked import checked
from analysis.read.parts import Parts, read_parts, unreadable_files
from analysis.read.published import has_more_tables, table_files

SCHEMA_VERSION = 1
TRIAL_STRINGS = ("trial_key", "status", "status_reason", "error_type", "error_message", "workload", "device", "model",
                 "precision", "memory_format", "compile", "pipeline", "implementation", "tune", "augment", "feed",
                 "parallel", "device_link", "scenario", "item", "weights", "stability", "options", "throttle_reasons",
                 "energy_source", "device_settings", "precision_note", "energy_domain", "leak_verdict",
                 "pruned_on", "pruned_against", "search_role", "host", "device_name",
                 "cpu_name", "torch_version", "cpu_capability", "git_commit", "node", "torchvision_version",
                 "driver_version", "python_version", "accelsweep_version", "os", "allocator_settings",
                 "input_left_out", "decoder", "learned", "power_note", "limits_note", "computed_dtype",
                 "agreement_reason", "runtime", "provider", "nodes_by_provider", "runtime_version",
                 "runtime_settings", "allocator")  # fmt: skip
TRIAL_NUMBERS = ("batch_size", "threads", "n_devices", "global_batch_size", "communication_share_ratio",
                 "exposed_communication_share_ratio",
                 "items_per_step", "learning_rate", "rate_per_s", "throughput_items_per_s",
                 "throughput_low_items_per_s", "throughput_high_items_per_s", "step_median_s", "step_median_low_s",
                 "step_median_high_s", "step_iqr_ratio", "latency_p50_s", "latency_p90_s", "latency_p95_s",
                 "latency_p99_s", "latency_p99_high_s", "latency_p999_s", "rate_search_s",
                 "deadline_s", "completed_rate_per_s", "max_rate_per_s",
                 "n_requests", "n_missed", "n_dropped", "device_peak_allocated_bytes", "device_peak_reserved_bytes",
                 "peak_rss_bytes", "energy_per_item_j", "items_per_j", "accuracy_best", "accuracy_final",
                 "time_to_target_s", "energy_to_target_j", "measured_s", "compile_s", "wall_s", "n_samples", "n_rounds",
                 "other_load_ratio", "drift_ratio", "top1_agreement_ratio", "max_softmax_diff", "n_nonfinite",
                 "flop_share_ratio", "target_accuracy", "trial_index", "n_images_skipped", "clock_offset_s",
                 "page_fault_bytes_per_step", "system_time_ratio", "allocation_retries_per_step", "n_latency_samples",
                 "device_held_before_bytes",
                 "steps_per_sample", "epochs_run", "n_train_items", "mean_power_w", "peak_power_w", "idle_power_w",
                 "bandwidth_share_ratio", "n_compared", "rms_rel_diff", "rounding_rel_diff", "loss_rel_diff",
                 "gradient_cosine", "compile_warm_s", "convert_s", "session_s",
                 "quantised_share_ratio", "start_cold_s", "start_warm_s", "start_loaded_s")  # fmt: skip
TRIAL_FLAGS = ("timing_verified", "is_drifting", "is_throttled", "is_precise", "input_is_synthetic", "constraints_held")
SAMPLE_COLUMNS = ("trial_key", "phase", "round", "index", "seconds", "scheduled_s")
TARGET_COLUMNS = ["time_to_target_s", "energy_to_target_j"]
ROUND_COLUMNS = ("trial_key", "round", "elapsed_s", "seconds", "items", "throughput_items_per_s", "accuracy",
                 "n_classes_answered", "loss", "energy_j", "rate_per_s", "n_requests", "latency_p99_s",
                 "latency_p99_high_s", "held")  # fmt: skip
PROFILE_COLUMNS = ("trial_key", "rank", "name", "kind", "n_calls", "seconds", "share_ratio")


class AnalysisError(Exception):
    """The results cannot be read as asked; one line for the user, exit code 2."""


def find_sweep(path: str | Path = "results") -> Path:
    """The folder of one sweep: the path itself, or the latest sweep in a results folder; AnalysisError without one."""
    return find_folder(path, "sweep", "trials", DESCRIPTION, "finetune")


def find_folder(path: str | Path, what: str, table: str, description: str, command: str) -> Path:
    """The folder of one sweep of any kind: the path itself, also that of a file, or the latest in a results folder.

    Such a sweep, called ``what`` in words, has the folder of its main table and the file ``description``, and is made
    by the subcommand. Of a published one, whose tables are a file each, it is the main table's file. AnalysisError if
    there is none.
    """
    folder = Path(path)
    if (folder / table).is_dir() or folder.is_file():
        return folder
    sweeps = list(folder.glob(f"*/{description}"))
    if not sweeps and (published := folder / f"{table}.parquet").is_file():
        return published
    if not sweeps and (folder / description).is_file():  # beside sweeps it is a copy of one of theirs
        return folder
    if not sweeps:
        state = f"contains no {what}{'' if folder.is_dir() else ' (there is no such folder)'}"
        raise AnalysisError(f"{str(folder)!r} {state}; run one with `accelsweep {command}`, or name its folder")
    return max(sweeps, key=lambda file: (_created_at(file), file.parent.name)).parent


def _created_at(description: Path) -> str:
    """When a sweep was made; empty where its description cannot be read, which must not hide the other sweeps."""
    try:
        return str(json.loads(description.read_text()).get("created_at", ""))
    except (ValueError, OSError, AttributeError):
        return ""


def load_description(path: str | Path) -> dict[str, Any]:
    """What was asked of a sweep (``sweep.json``, beside a published table), as ``read_description`` tells it."""
    sweep = Path(path)
    if not has_more_tables(sweep):
        return {}
    return read_description((sweep if sweep.is_dir() else sweep.parent) / DESCRIPTION, SCHEMA_VERSION)


def read_description(file: Path, schema_version: int) -> dict[str, Any]:
    """What was asked of a sweep of any kind; empty without the file, AnalysisError if unreadable or too new."""
    if not file.is_file():
        return {}
    try:
        description: dict[str, Any] = json.loads(file.read_text())
    except ValueError as error:
        raise AnalysisError(f"{str(file)!r} is not JSON: {error}") from error
    if not isinstance(description, dict):
        raise AnalysisError(f"{str(file)!r} does not describe a sweep")
    _check_version(file.parent.name, description.get("schema_version"), schema_version)
    return description


def _check_version(name: str, version: object, known: int = SCHEMA_VERSION) -> None:
    if not isinstance(version, int) or version > known:
        raise AnalysisError(f"{name}: schema version {version!r}; this analysis reads up to {known}")


def _read(sweep: Path, table: str, columns: Sequence[str] | None = None, keys: Sequence[str] | None = None) -> Parts:
    """A table of a sweep, or the one file that is given instead; AnalysisError if its schema version is not known."""
    parts = read_parts(table_files(sweep, table), columns, keys)
    parts = dataclasses.replace(parts, unreadable=[*parts.unreadable, *strangers(sweep / table)])
    if parts.schema_version is not None:
        _check_version(sweep.name, parts.schema_version)
    return parts


def without_cells(description: Mapping[str, Any]) -> dict[str, Any]:
    """A description without its list of cells: pandas copies a frame's attrs with every operation, which takes long."""
    return {name: value for name, value in description.items() if name != "cells"}


def load_sweep(path: str | Path = "results") -> pd.DataFrame:
    """The trials of a sweep, a results folder's latest, or a Parquet file: one row a cell, in the order of the grid.

    All columns of the files; those that an older schema lacks are added, null. ``attrs`` has ``path``,
    ``description`` (without the list of cells) and ``unreadable``, the names of files that were skipped, which are no
    sweep's own or cannot be read. AnalysisError
    if there is no sweep or its schema is not known. Figures are ``checked``; what a target took is null of trainings
    that ``learned`` one class only or nothing.
    """
    sweep = find_sweep(path)
    description = without_cells(load_description(sweep))
    parts = _read(sweep, "trials")
    if parts.table is None and sweep.is_file():
        raise AnalysisError(f"{str(sweep)!r} is not a complete Parquet file")
    frame = pd.DataFrame() if parts.table is None else _as_frame(parts.table)
    types = [(TRIAL_STRINGS, "object"), (TRIAL_NUMBERS, "float64"), (TRIAL_FLAGS, "object")]
    frame = with_columns(frame, {name: dtype for names, dtype in types for name in names})
    dtypes = dict(zip(frame.columns, frame.dtypes, strict=True))
    for name in [name for name in TRIAL_NUMBERS if dtypes[name].kind not in "iuf"]:
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    is_infinite = np.isinf(frame[list(TRIAL_NUMBERS)].to_numpy("float64"))  # of a step of no time: no measurement
    for i in np.flatnonzero(is_infinite.any(axis=0)):
        frame[TRIAL_NUMBERS[i]] = frame[TRIAL_NUMBERS[i]].mask(is_infinite[:, i])
    frame["allocator"] = frame["allocator"].fillna(DEFAULT)  # of all devices, so that it varies only where it was set
    if (learned := frame["learned"].notna()).any():
        frame.loc[learned, TARGET_COLUMNS] = math.nan
    older = (frame["workload"] == "inference") & frame["runtime"].isna()
    frame["runtime"] = frame["runtime"].mask(older, "torch")
    frame["n_devices"] = frame["n_devices"].fillna(1)  # of older sweeps
    # What shares a training's work says nothing of one device, which is held against several that share it as usual.
    frame["parallel"] = frame["parallel"].mask((frame["workload"] == "finetune") & frame["parallel"].isna(), "ddp")
    frame = checked(frame)
    frame = frame.sort_values(["trial_index", "trial_key"], kind="stable", ignore_index=True)
    frame.attrs = {"path": str(sweep), "description": description, "unreadable": parts.unreadable}
    return frame


def _as_frame(table: pa.Table) -> pd.DataFrame:
    """A table with text as objects side by side: pandas copies each column of its own text type by itself."""
    texts: list[str] = []
    others: list[str] = []
    for field in table.schema:
        (texts if pa.types.is_string(field.type) else others).append(field.name)
    told = np.empty((len(texts), table.num_rows), dtype="object")
    for i, name in enumerate(texts):
        told[i] = table[name].to_numpy()
    numbers = table.select(others).to_pandas()  # to drop the texts would make a table for each
    return pd.concat([numbers, pd.DataFrame(told.T, columns=texts, dtype="object")], axis=1)


def with_columns(frame: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    """The frame with all of these columns, null where it lacks them."""
    known, null = set(frame.columns), {"object": None, "float64": math.nan}
    absent: dict[str, list[str]] = {}
    for name, dtype in types.items():
        if name not in known:
            absent.setdefault(dtype, []).append(name)
    blocks = [
        pd.DataFrame(np.full((len(frame), len(names)), null[dtype], dtype=dtype), frame.index, names, dtype=dtype)
        for dtype, names in absent.items()
    ]
    return pd.concat([frame, *blocks], axis=1)


def load_samples(
    path: str | Path = "results", columns: Sequence[str] | None = None, keys: Sequence[str] | None = None
) -> pd.DataFrame:
    """The raw samples of a sweep, one row each: trial_key, phase, round, index, seconds, scheduled_s.

    Of all cells, or of those named by key; of millions of samples the fewer columns the better. ``attrs["unreadable"]``
    and errors are as ``load_sweep``'s.
    """
    return _frame(_read(find_sweep(path), "samples", columns, keys), columns or SAMPLE_COLUMNS)


def _frame(parts: Parts, columns: Sequence[str]) -> pd.DataFrame:
    """All rows as a frame; one of these columns where no file could be read."""
    table = parts.table
    frame = pd.DataFrame(columns=list(columns)) if table is None else table.to_pandas(split_blocks=True)
    frame.attrs = {"unreadable": parts.unreadable}
    return frame


def load_rounds(path: str | Path = "results") -> pd.DataFrame:
    """The rounds of a sweep, one row each, with ``attrs["unreadable"]`` and errors as ``load_sweep``'s."""
    rounds = _frame(_read(find_sweep(path), "rounds"), ROUND_COLUMNS)
    return rounds.sort_values(["trial_key", "round"], kind="stable", ignore_index=True)


def load_profiles(path: str | Path = "results") -> pd.DataFrame:
    """The longest kernels or operations of profiled cells, one row each, as ``load_rounds`` reads them."""
    profiles = _frame(_read(find_sweep(path), "profiles"), PROFILE_COLUMNS)
    return profiles.sort_values(["trial_key", "rank"], kind="stable", ignore_index=True)


def unreadable_parts(path: str | Path) -> list[str]:
    """Names of the files of samples, rounds and profiles that cannot be read, without reading the others."""
    sweep = find_sweep(path)
    tables = ("samples", "rounds", "profiles") if has_more_tables(sweep) else ()
    return [name for table in tables for name in unreadable_files(table_files(sweep, table), strangers(sweep / table))]
