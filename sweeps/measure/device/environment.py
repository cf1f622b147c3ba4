"""What measured: device, driver, library versions, machine. Taken in the worker, since the nodes of a cluster differ.

Holds no user name, no path and no token; the host's name only as a hash unless asked for.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from sweeps.measure.device.device import device_name, driver_version, total_bytes
from sweeps.measure.device.host import cpu_governor, cpu_name, huge_pages, system_name, usable_cpus, version_of
from sweeps.measure.device.quota import container_limits

HASH_LENGTH = 12
_ALLOCATOR = re.compile("MALLOC_|GLIBC_TUNABLES$|PYTORCH_.*(ALLOC|WATERMARK)")

_DEVICE_SETTINGS = re.compile(
    "PYTORCH_(ENABLE_)?MPS_|NVIDIA_TF32_OVERRIDE$|TORCH_ALLOW_TF32|TORCH_BLAS_PREFER|TORCH_LINALG_PREFER|DISABLE_ADDMM"
    "|CUDA_(LAUNCH_BLOCKING|DEVICE_MAX_CONNECTIONS|MODULE_LOADING)$|CUBLAS|CUDNN_|TORCH_CUDNN|(TORCH_)?NCCL_|GLOO_|HIPBLASLT|MIOPEN_"
    "|ATEN_CPU_CAPABILITY$|(ONE)?DNN(L|)_|MKL_(CBWR|ENABLE_INSTRUCTIONS)$|KMP_|GOMP_CPU_AFFINITY$|OMP_(PROC_BIND|PLACES)$"
)
"""Variables that change how or where a device computes; those that change its memory are listed separately."""


@functools.cache
def _git_commit() -> str | None:
    """Commit of the checkout that holds this file, with + if tracked files are changed; None outside of one.

    A package installed into a virtual environment inside somebody's checkout is not part of that checkout.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _host(record_hostname: bool) -> str:
    name = socket.gethostname()
    return name if record_hostname else hashlib.sha256(name.encode()).hexdigest()[:HASH_LENGTH]


def allocator_settings(variables: Mapping[str, str]) -> str | None:
    """What changes how memory is allocated, as ``NAME=value`` words; None if nothing does.

    glibc's settings (mallopt(3)) and PyTorch's; of libraries loaded before all others, such as jemalloc, the names.
    """
    told = {name: value for name, value in variables.items() if value and _ALLOCATOR.match(name)}
    loaded = [Path(path).name for path in re.split("[: ]+", variables.get("LD_PRELOAD", "")) if path]
    if loaded:
        told["LD_PRELOAD"] = ":".join(loaded)
    return " ".join(f"{name}={value}" for name, value in sorted(told.items())) or None


def device_settings(variables: Mapping[str, str]) -> str | None:
    """What changes how or where a device computes, as ``NAME=value`` words; None if nothing does.

    Of a value that may name somebody's folder only the variable is told.
    """
    told = {
        name: "..." if {"/", " ", "\\"} & set(value) else value
        for name, value in variables.items()
        if value and _DEVICE_SETTINGS.match(name) and not _ALLOCATOR.match(name)
    }
    return " ".join(f"{name}={value}" for name, value in sorted(told.items())) or None


def blas(built: str) -> str | None:
    """The library of linear algebra in ``torch.__config__.show()``, and oneDNN; with the version where it is told."""
    kind = re.search(r"BLAS_INFO=(\w+)", built)
    mkl = re.search(r"Math Kernel Library Version (\S+?)(?:-Product)? ", built)
    mkldnn = re.search(r"MKL-DNN (v\S+)", built)
    told = [f"{kind[1]}{f' {mkl[1]}' if mkl and kind[1] == 'mkl' else ''}"] if kind else []
    return ", ".join([*told, *([f"oneDNN {mkldnn[1]}"] if mkldnn else [])]) or None


def _cudnn(device: torch.device) -> str | None:
    """The version of cuDNN (MIOpen), which is loaded for it; None on the CPU and without one."""
    version = None if device.type == "cpu" else torch.backends.cudnn.version()
    return None if version is None else str(version)


@functools.cache
def _constant(device: torch.device) -> dict[str, Any]:
    return {
        "device_name": device_name(device),
        "device_total_bytes": total_bytes(device),
        "driver_version": driver_version(device),
        "torch_version": str(torch.__version__),  # its own class is one that the driver would import torch for
        "torchvision_version": version_of("torchvision"),
        "ray_version": version_of("ray"),
        "accelsweep_version": version_of("accelsweep"),
        "python_version": platform.python_version(),
        "os": system_name(),
        "cpu_name": cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_governor": cpu_governor(),
        "blas": blas(torch.__config__.show()),
        "cudnn_version": _cudnn(device),
        "n_cpus": usable_cpus(),
        "container_limits": container_limits(),
        "huge_pages": huge_pages(),
        "host_total_bytes": int(psutil.virtual_memory().total),
        "allocator_settings": allocator_settings(os.environ),
        "device_settings": device_settings(os.environ),
        "git_commit": _git_commit(),
    }


def environment(device: torch.device, *, record_hostname: bool = False) -> dict[str, Any]:
    """The environment columns of the trials table, taken in this process.

    Args:
        device: An open device.
        record_hostname: Give the host's name itself instead of a hash of it.
    """
    return {
        **_constant(device),
        "host": _host(record_hostname),
        "n_threads": torch.get_num_threads(),
        "worker_pid": os.getpid(),
    }
