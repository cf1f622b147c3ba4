"""How the columns of a Parquet table are written down, and the schema that is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

STRING, BOOL, INT, FLOAT = pa.string(), pa.bool_(), pa.int64(), pa.float64()
TIME = pa.timestamp("us", tz="UTC")

Column = tuple[str, pa.DataType, str, str] | tuple[str, pa.DataType, str, str, str]
"""Name, type, unit and meaning; an empty meaning is the name's own. A figure has as well how ``--rounds interleaved``
joins what its visits to a cell found, as one of the words below."""

SUMMED, HIGHEST, FIRST, LATEST = "summed", "highest", "first", "latest"
WORDS = "words"
"""Every word that any visit said."""
TIMING, RATE, ENERGY = "timing", "rate", "energy"
"""Computed anew: from the samples of all visits; at the median step of all; from the summed joules."""

ENVIRONMENT: dict[str, Column] = {column[0]: column for column in (
    ("device_name", STRING, "", "the device as its driver names it"),
    ("driver_version", STRING, "", "driver and runtime"),
    ("torch_version", STRING, "", ""), ("torchvision_version", STRING, "", ""),
    ("python_version", STRING, "", ""), ("os", STRING, "", "system, release and machine"),
    ("cpu_name", STRING, "", ""),
    ("n_threads", INT, "", "torch.get_num_threads() while measuring"),
    ("git_commit", STRING, "", "commit of the checkout that ran, with + if it was changed"),
)}  # fmt: skip
"""Columns by which every table says where its rows were measured."""


def as_schema(columns: Iterable[Column], version: int, groups: Mapping[str, str] | None = None) -> pa.Schema:
    """Arrow's schema of a table, with unit, meaning and, for tables that have groups, group of each field."""
    fields = []
    for name, kind, unit, meaning, *_ in columns:
        group = {"group": groups[name]} if groups else {}
        told = {"unit": unit, "meaning": meaning or name.replace("_", " "), **group}
        fields.append(pa.field(name, kind, metadata=told))
    return pa.schema(fields, metadata={"schema_version": str(version)})
