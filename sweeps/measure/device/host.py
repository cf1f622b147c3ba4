"""The machine that a process runs on: processor, cores to compute with, system, and versions of what is installed.

Imports no torch: a node of a cluster is asked for this before it measures anything.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import math
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sweeps.measure.device.quota import cpu_quota

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What torch takes for its number of threads where it is set, the first before the second (ATen's ParallelCommon)."""


@functools.cache
def _sysctl(name: str) -> str | None:
    """What macOS's kernel says of itself by a name; None where there is no such name, and on any other system."""
    if sys.platform != "darwin":
        return None
    try:
        told = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return told.strip() or None


def cpu_name() -> str:
    """The processor as the system names it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    # platform.processor() is "arm" on every Mac of the last years.
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def macos_release() -> str | None:
    """Point release and build of macOS, by which Apple's own kernels differ; None on any other system."""
    release, build = platform.mac_ver()[0], _sysctl("kern.osversion")
    return f"macOS {release}{f' ({build})' if build else ''}" if release else None


def system_name() -> str:
    """System, release and machine; before it what ``macos_release`` says, where it says something."""
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    return ", ".join(filter(None, (macos_release(), kernel)))


_SYSTEM = Path("/sys")


def cpu_governor() -> str | None:
    """What chooses the processor's clock, such as ``powersave``; None where Linux does not say, as in most guests."""
    found = set()
    for path in _SYSTEM.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor"):
        with contextlib.suppress(OSError):
            found.add(path.read_text(encoding="utf-8").strip())
    return ", ".join(sorted(found)) or None


def huge_pages() -> str | None:
    """Who gets transparent huge pages: always, madvise or never; None where the system does not say."""
    with contextlib.suppress(OSError):
        told = (_SYSTEM / "kernel/mm/transparent_hugepage/enabled").read_text(encoding="utf-8")
        if found := re.search(r"\[(\w+)\]", told):
            return found[1]
    return None


def usable_cpus() -> int:
    """Logical CPUs that this process may use: of its affinity, where the system has one, and no more than its quota."""
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return n_cpus if quota is None else max(1, min(n_cpus, math.ceil(quota)))


def default_threads(n_cpus: int) -> int:
    """Threads to compute with on so many CPUs: of a chip with two kinds of core, no more than it has fast ones.

    It is what torch itself does on Apple's chips (pytorch pull request 123038), which it cannot where Ray has set
    OMP_NUM_THREADS to a trial's CPUs: with the efficiency cores in the team, the others wait for them.
    """
    fast = _sysctl("hw.perflevel0.physicalcpu") or ""
    return max(1, min(n_cpus, int(fast)) if fast.isdecimal() and int(fast) else n_cpus)


def threads_told(variables: Mapping[str, str] | None = None) -> tuple[str, int] | None:
    """The environment variable by which a user set the number of threads, and the number; None if none says one."""
    variables = os.environ if variables is None else variables
    for name in _THREADS:
        # OMP_NUM_THREADS may be a list, a number for each level of nesting.
        match = re.match(r"\s*(\d{1,6})\s*(,|$)", variables.get(name, ""))
        if match is not None and int(match[1]):
            return name, int(match[1])
    return None


def version_of(package: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """What is installed here, by name; None where it is not."""
    return {"python": platform.python_version(), **{n: version_of(n) for n in ("torch", "torchvision", "accelsweep")}}
