"""How the columns of a Parquet table are written down, and the schema that is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

STRING, BOOL, INT, FLOAT = pa.string(), pa.bool_(), pa.int64(), pa.float64()
TIME = pa.timestamp("us", tz="UTC")

Column = tuple[str, pa.DataType, str, str]
"""Name, type, unit and meaning; an empty meaning is the name's own."""


def as_schema(columns: Iterable[Column], version: int, groups: Mapping[str, str] | None = None) -> pa.Schema:
    """Arrow's schema of a table, with unit and meaning of each field in its metadata.

    Args:
        columns: In order.
        version: Of the table.
        groups: The group of each column by its name, for tables that have groups.
    """
    fields = []
    for name, kind, unit, meaning in columns:
        metadata = {"unit": unit, "meaning": meaning or name.replace("_", " ")}
        if groups:
            metadata["group"] = groups[name]
        fields.append(pa.field(name, kind, metadata=metadata))
    return pa.schema(fields, metadata={"schema_version": str(version)})
