"""The columns of the three Parquet tables: name, type, unit and meaning, written once.

README's table of columns is made from this file and from ``trial_columns.py`` (``accelsweep schema``). Raise
SCHEMA_VERSION when a column changes meaning.
"""

from __future__ import annotations

import pyarrow as pa

from sweeps.trial_columns import TRIAL_GROUPS

SCHEMA_VERSION = 1

_STRING, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()

STATUSES = ("complete", "pruned", "oom", "unsupported", "timeout", "crashed", "error")
"""How a cell can end; every cell of a grid ends as exactly one of these."""

_SAMPLE_COLUMNS: list[tuple[str, pa.DataType, str, str]] = [
    ("trial_key", _STRING, "", "the cell"),
    ("phase", _STRING, "", "warmup or measure"),
    ("round", pa.int32(), "", "round, from 0"),
    ("index", pa.int32(), "", "position in the round, from 0"),
    (
        "seconds",
        _FLOAT,
        "s",
        "one timed sample, timer overhead not subtracted; server: latency from scheduled arrival",
    ),
    ("scheduled_s", _FLOAT, "s", "server: scheduled arrival since the round began"),
]

_ROUND_COLUMNS: list[tuple[str, pa.DataType, str, str]] = [
    ("trial_key", _STRING, "", "the cell"),
    ("round", pa.int32(), "", "round, from 0"),
    ("elapsed_s", _FLOAT, "s", "measured time until the end of this round, evaluation left out"),
    ("seconds", _FLOAT, "s", "measured time of this round"),
    ("items", _INT, "items", "items worked through in this round"),
    ("throughput_items_per_s", _FLOAT, "items/s", "items over seconds"),
    ("accuracy", _FLOAT, "1", "finetune: held-out accuracy after the round"),
    ("loss", _FLOAT, "", "finetune: held-out cross entropy after the round"),
    ("energy_j", _FLOAT, "J", "energy of the round, null if unknown or too short"),
    ("rss_bytes", _INT, "B", "resident memory after the round"),
    ("device_bytes", _INT, "B", "device memory in tensors after the round"),
    ("visit", pa.int32(), "", "visit to the cell, from 0; null unless --rounds interleaved"),
]


def _schema(columns: list[tuple[str, pa.DataType, str, str]], group: dict[str, str] | None = None) -> pa.Schema:
    fields = []
    for name, kind, unit, meaning in columns:
        metadata = {"unit": unit, "meaning": meaning or name.replace("_", " ")}
        if group:
            metadata["group"] = group[name]
        fields.append(pa.field(name, kind, metadata=metadata))
    return pa.schema(fields, metadata={"schema_version": str(SCHEMA_VERSION)})


_GROUP_OF = {column[0]: group for group, columns in TRIAL_GROUPS for column in columns}
TRIALS = _schema([column for _, columns in TRIAL_GROUPS for column in columns], _GROUP_OF)
SAMPLES = _schema(_SAMPLE_COLUMNS)
ROUNDS = _schema(_ROUND_COLUMNS)
TABLES: dict[str, pa.Schema] = {"trials": TRIALS, "samples": SAMPLES, "rounds": ROUNDS}


def markdown_table(schema: pa.Schema) -> str:
    """The columns of a schema as a Markdown table, from the fields' own metadata."""
    lines = ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    for f in schema:
        meta = {k.decode(): v.decode() for k, v in (f.metadata or {}).items()}
        lines.append(f"| `{f.name}` | {f.type} | {meta['unit']} | {meta['meaning']} |")
    return "\n".join(lines) + "\n"
