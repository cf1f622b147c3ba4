"""The columns of the trials table that say what measured."""

from __future__ import annotations

from sweeps.store.columns import ENVIRONMENT, FLOAT, INT, STRING, Column

WHAT_MEASURED: list[Column] = [
    ("host", STRING, "", "hash of the host name; the name itself only with --record-hostname"),
    ENVIRONMENT["device_name"],
    ("device_total_bytes", INT, "B", "memory of the device; MPS: the maximum that the system recommends"),
    ENVIRONMENT["driver_version"],
    ENVIRONMENT["torch_version"], ENVIRONMENT["torchvision_version"],
    ("ray_version", STRING, "", ""), ("accelsweep_version", STRING, "", ""),
    ENVIRONMENT["python_version"], ENVIRONMENT["os"],
    ENVIRONMENT["cpu_name"],
    ("cpu_capability", STRING, "", "vector instructions that PyTorch uses on the processor, such as AVX2 or AVX512"),
    ("cpu_governor", STRING, "", "policy that sets the processor's clock; null where Linux does not report it"),
    ("runtime_version", STRING, "", "another runtime and what converts to it, with their versions"),
    ("runtime_settings", STRING, "", "another runtime: threads, streams and hints it was set to"),
    ("blas", STRING, "", "linear algebra libraries that PyTorch was built with, and their versions"),
    ("cudnn_version", STRING, "", "null on the CPU"),
    ("n_cpus", INT, "", "logical CPUs the worker may use"),
    ("container_limits", STRING, "", "CPUs and memory that the control group allows; null if it limits nothing"),
    ("huge_pages", STRING, "", "policy for transparent huge pages: always, madvise or never; null where Linux does not report it"),
    ENVIRONMENT["n_threads"],
    ("host_total_bytes", INT, "B", "memory of the machine"),
    ("allocator_settings", STRING, "", "environment variables that change how memory is allocated; null if none is set"),
    ("device_settings", STRING, "", "environment variables that change how or where a device computes; null if none is set"),
    ENVIRONMENT["git_commit"],
    ("node_id", STRING, "", "Ray's identifier of the node that measured"),
    ("worker_pid", INT, "", "process that measured; the same where an actor was reused"),
    ("device_index", STRING, "", "which of its node's accelerators measured, as Ray numbers them; commas between several"),
    ("clock_offset_s", FLOAT, "s", "the node's clock minus that of the machine that led the sweep, at its start"),
]  # fmt: skip
