"""The columns of the Parquet tables: name, type, unit and meaning, written once.

``docs/columns.md`` is made from this file and from ``trial_columns.py`` (``accelsweep schema``). Raise
SCHEMA_VERSION when a column changes meaning.
"""

from __future__ import annotations

import pyarrow as pa

from sweeps.store.columns import BOOL, FLOAT, INT, STRING, Column, as_schema
from sweeps.store.trial_columns import TRIAL_GROUPS

SCHEMA_VERSION = 1

_SAMPLE_COLUMNS: list[Column] = [
    ("trial_key", STRING, "", "the cell"),
    (
        "phase",
        STRING,
        "",
        "warmup, measure, or single: steps timed one by one where a measured sample is a mean",
    ),
    ("round", pa.int32(), "", "round, from 0"),
    ("index", pa.int32(), "", "position in the round, from 0"),
    (
        "seconds",
        FLOAT,
        "s",
        "one timed sample, timer overhead not subtracted; server: latency from scheduled arrival",
    ),
    ("scheduled_s", FLOAT, "s", "server: scheduled arrival since the round began"),
]

_ROUND_COLUMNS: list[Column] = [
    ("trial_key", STRING, "", "the cell"),
    ("round", pa.int32(), "", "round, from 0"),
    ("elapsed_s", FLOAT, "s", "measured time until the end of this round, without evaluation"),
    ("seconds", FLOAT, "s", "measured time of this round"),
    ("items", INT, "items", "items processed in this round"),
    ("throughput_items_per_s", FLOAT, "items/s", "items over seconds"),
    ("accuracy", FLOAT, "1", "finetune: held-out accuracy after the round"),
    ("balanced_accuracy", FLOAT, "1", "finetune: mean of the held-out classes' own accuracies after the round"),
    ("n_classes_answered", INT, "", "finetune: classes among the answers to the held-out images"),
    ("loss", FLOAT, "", "finetune: held-out cross entropy after the round"),
    ("energy_j", FLOAT, "J", "energy of the round; null if unknown or if the round is too short"),
    ("rss_bytes", INT, "B", "resident memory after the round"),
    ("device_bytes", INT, "B", "device memory in tensors after the round"),
    ("rate_per_s", FLOAT, "1/s", "server: arrival rate of this run, each of a search's runs being a round"),
    ("arrived_rate_per_s", FLOAT, "1/s", "server: requests over the time in which they arrived"),
    ("n_requests", INT, "requests", "server: requests of this run"),
    ("latency_p99_s", FLOAT, "s", "server: p99 of the requests that arrived, from 662 of them"),
    (
        "latency_p99_high_s",
        FLOAT,
        "s",
        "server: upper 99 % bound of the p99, over other arrivals and resampled service times",
    ),
    ("held", BOOL, "", "server: both p99 figures are within the latency limit; null without one"),
    ("visit", pa.int32(), "", "visit to the cell, from 0; null unless --rounds interleaved"),
]

_PROFILE_COLUMNS: list[Column] = [
    ("trial_key", STRING, "", "the cell"),
    ("rank", pa.int32(), "", "from 1, the longest, to 10"),
    ("name", STRING, "", "kernel or operation, as the profiler names it"),
    ("kind", STRING, "", "kernel or copy (on an accelerator); operation or copy (where the host called it)"),
    ("n_calls", INT, "", "calls in the step"),
    ("seconds", FLOAT, "s", "of all these calls in one step; of an operation without those that it calls"),
    ("share_ratio", FLOAT, "1", "seconds over the step, as the shares of the cell"),
]

_GROUP_OF = {column[0]: group for group, columns in TRIAL_GROUPS for column in columns}
TRIALS = as_schema([column for _, columns in TRIAL_GROUPS for column in columns], SCHEMA_VERSION, _GROUP_OF)
SAMPLES = as_schema(_SAMPLE_COLUMNS, SCHEMA_VERSION)
ROUNDS = as_schema(_ROUND_COLUMNS, SCHEMA_VERSION)
PROFILES = as_schema(_PROFILE_COLUMNS, SCHEMA_VERSION)
TABLES: dict[str, pa.Schema] = {"trials": TRIALS, "samples": SAMPLES, "rounds": ROUNDS, "profiles": PROFILES}


def markdown_table(schema: pa.Schema) -> str:
    """The columns of a schema as a Markdown table, from the fields' own metadata."""
    lines = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    for f in schema:
        meta = {k.decode(): v.decode() for k, v in (f.metadata or {}).items()}
        lines.append(f"| `{f.name}` | {f.type} | {meta['unit']} | {meta['meaning']} |")
    return "\n".join(lines) + "\n"
