"""The columns of the ``operations`` table: name, type, unit and meaning, written once."""

from __future__ import annotations

import pyarrow as pa

from sweeps.store.columns import ENVIRONMENT, FLOAT, INT, STRING, Column, as_schema

SCHEMA_VERSION = 1
VERDICTS = ("supported", "unsupported", "fallback", "wrong", "crashed", "timeout", "unknown")
"""How an operation can end in one type and direction on a device; every row has exactly one."""

_NAMES = pa.list_(STRING)

_COLUMNS: list[Column] = [
    ("schema_version", pa.int16(), "", "version of this table"),
    ("sweep_id", STRING, "", "the sweep's folder name"),
    ("operation_key", STRING, "", "hash of source, operation, type and device; the same in every sweep"),
    ("source", STRING, "", "database (PyTorch), transforms, modules (torchvision); predicted: models, workloads"),
    ("operation", STRING, "", "its name, with the database's variant in brackets"),
    ("family", STRING, "", "group of related operations"),
    ("device", STRING, "", "cpu or the accelerator's type"),
    ("dtype", STRING, "", "fp32, fp16, bf16, int8 or uint8: the type of its inputs"),
    ("direction", STRING, "", "forward, or backward where a gradient is defined"),
    ("verdict", STRING, "", "one of supported, unsupported, fallback, wrong, crashed, timeout; predicted: unknown"),
    ("reason", STRING, "", "why it is not supported: the exception's text, the worst difference, the signal"),
    ("error_type", STRING, "", "class of the exception"),
    ("wrong_by", STRING, "", "wrong: rounding if rounding at the largest magnitude explains it, else values"),
    ("fallback_mode", STRING, "", "allowed or strict, where operations can fall back to the CPU; else null"),
    ("fallback_operations", _NAMES, "", "what fell back, as named in the warnings"),
    ("aten_operations", _NAMES, "", "what the call dispatches on the device"),
    ("n_samples", INT, "samples", "sample inputs run"),
    ("n_failed", INT, "samples", "of those, raised on the device although the reference accepts them"),
    ("n_wrong", INT, "samples", "of those, beyond the tolerance"),
    ("n_fallback", INT, "samples", "of those, ran partly on the CPU"),
    ("n_compared", INT, "samples", "of those, compared with the reference"),
    ("n_invalid", INT, "samples", "excluded: the reference raises as well"),
    ("not_compared", STRING, "", "why values were not compared: random, uninitialised, no float64 reference"),
    ("reference", STRING, "", "what it was compared with: cpu fp64, or cpu in the same type; null if not compared"),
    ("tolerance_absolute", FLOAT, "", "allowed absolute difference, the loosest that the source itself allows"),
    ("tolerance_relative", FLOAT, "1", "allowed difference per magnitude of the reference"),
    ("max_abs_diff", FLOAT, "", "largest absolute difference from the reference"),
    ("max_rel_diff", FLOAT, "1", "largest difference over the reference's own magnitude"),
    ("tolerance_ratio", FLOAT, "1", "largest difference over what is allowed there; over 1 is wrong"),
    ("rounding_units", FLOAT, "1", "largest difference in unit roundoffs at the largest magnitude"),
    ("timing_elements", pa.list_(pa.int64()), "elements", "sizes timed: elements of all inputs, growing"),
    ("timing_device_s", pa.list_(pa.float64()), "s", "median seconds of a call on the device at those sizes"),
    ("timing_cpu_s", pa.list_(pa.float64()), "s", "the same on the CPU, in fp32 for floats; null for the CPU itself"),
    ("overtakes_at_elements", INT, "elements", "smallest size from which the device is faster; null if none"),
    ("not_timed", STRING, "", "why it was not timed"),
    ("wall_s", FLOAT, "s", "time of the whole row, reference included"),
    ("worker_pid", INT, "", "child process that ran it"),
    *ENVIRONMENT.values(),
    ("host", STRING, "", "hash of the host name"),
    ("evidence", STRING, "", "predicted: from torch's list of kernels, without running anything; null: executed"),
]  # fmt: skip

OPERATIONS = as_schema(_COLUMNS, SCHEMA_VERSION)
