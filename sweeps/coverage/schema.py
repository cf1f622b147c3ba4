"""The columns of the ``operations`` table: name, type, unit and meaning, written once."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1
VERDICTS = ("supported", "unsupported", "fallback", "wrong", "crashed", "timeout")
"""How an operation can end in one type and direction on a device; every row has exactly one."""

_STRING, _BOOL, _INT, _FLOAT = pa.string(), pa.bool_(), pa.int64(), pa.float64()
_NAMES = pa.list_(pa.string())

_COLUMNS: list[tuple[str, pa.DataType, str, str]] = [
    ("schema_version", pa.int16(), "", "version of this table"),
    ("sweep_id", _STRING, "", "the sweep's folder name"),
    ("operation_key", _STRING, "", "hash of source, operation, type and device; the same in every sweep"),
    ("source", _STRING, "", "database (PyTorch's operator database), transforms (torchvision) or modules (model zoo)"),
    ("operation", _STRING, "", "its name; a variant of the database in brackets"),
    ("family", _STRING, "", "what it is grouped by"),
    ("device", _STRING, "", "cpu or the accelerator's type"),
    ("dtype", _STRING, "", "fp32, fp16, bf16, int8 or uint8: the type of its inputs"),
    ("direction", _STRING, "", "forward, or backward where a gradient is defined"),
    ("verdict", _STRING, "", "one of supported, unsupported, fallback, wrong, crashed, timeout"),
    ("reason", _STRING, "", "why it is not supported: the exception's text, the worst difference, the signal"),
    ("error_type", _STRING, "", "class of the exception"),
    ("wrong_by", _STRING, "", "wrong: rounding if rounding at the largest magnitude explains it, else values"),
    ("fallback_mode", _STRING, "", "allowed or strict, where operations can fall back to the CPU; else null"),
    ("fallback_operations", _NAMES, "", "what fell back, as its warnings name it"),
    ("aten_operations", _NAMES, "", "what the call dispatches on the device"),
    ("n_samples", _INT, "samples", "sample inputs run"),
    ("n_failed", _INT, "samples", "of those, raised on the device though the reference accepts them"),
    ("n_wrong", _INT, "samples", "of those, beyond the tolerance"),
    ("n_fallback", _INT, "samples", "of those, ran partly on the CPU"),
    ("n_compared", _INT, "samples", "of those, compared with the reference"),
    ("n_invalid", _INT, "samples", "left out: the reference raises as well"),
    ("not_compared", _STRING, "", "why values were not compared: random, uninitialised, no float64 reference"),
    ("reference", _STRING, "", "what it was compared with: cpu fp64, or cpu in the same type; null if not compared"),
    ("tolerance_absolute", _FLOAT, "", "allowed absolute difference, the loosest that the source itself grants"),
    ("tolerance_relative", _FLOAT, "1", "allowed difference per magnitude of the reference"),
    ("max_abs_diff", _FLOAT, "", "largest absolute difference from the reference"),
    ("max_rel_diff", _FLOAT, "1", "largest difference over the reference's own magnitude"),
    ("tolerance_ratio", _FLOAT, "1", "largest difference over what is allowed there; over 1 is wrong"),
    ("rounding_units", _FLOAT, "1", "largest difference in unit roundoffs at the largest magnitude"),
    ("timing_elements", pa.list_(pa.int64()), "elements", "sizes timed: elements of all inputs, growing"),
    ("timing_device_s", pa.list_(pa.float64()), "s", "median seconds of a call on the device at those sizes"),
    ("timing_cpu_s", pa.list_(pa.float64()), "s", "the same on the CPU, in fp32 for floats; null for the CPU itself"),
    ("overtakes_at_elements", _INT, "elements", "smallest size from which on the device is faster; null if none was"),
    ("not_timed", _STRING, "", "why it was not timed"),
    ("wall_s", _FLOAT, "s", "time of the whole row, reference included"),
    ("worker_pid", _INT, "", "child process that ran it"),
    ("device_name", _STRING, "", "the device as its driver names it"),
    ("driver_version", _STRING, "", "driver and runtime"),
    ("torch_version", _STRING, "", ""), ("torchvision_version", _STRING, "", ""),
    ("python_version", _STRING, "", ""), ("os", _STRING, "", "system, release and machine"),
    ("cpu_name", _STRING, "", ""), ("n_threads", _INT, "", "torch.get_num_threads() of the child"),
    ("git_commit", _STRING, "", "commit of the checkout that ran, with + if it was changed"),
    ("host", _STRING, "", "hash of the host name"),
]  # fmt: skip

OPERATIONS = pa.schema(
    [
        pa.field(name, kind, metadata={"unit": unit, "meaning": meaning or name.replace("_", " ")})
        for name, kind, unit, meaning in _COLUMNS
    ],
    metadata={"schema_version": str(SCHEMA_VERSION)},
)
