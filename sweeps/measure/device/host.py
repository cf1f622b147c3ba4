"""The machine that a process runs on: processor and versions of what is installed.

Imports no torch: a node of a cluster is asked for this before it measures anything.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform


def cpu_name() -> str:
    """The processor as the system names it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def version_of(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """What is installed here, by name; None where it is not."""
    return {"python": platform.python_version(), **{n: version_of(n) for n in ("torch", "torchvision", "accelsweep")}}
