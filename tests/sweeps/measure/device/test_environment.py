"""Environment is recorded from this very process, and nothing of who or where that is nobody's business."""

from __future__ import annotations

import getpass
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import socket
import subprocess
from pathlib import Path
from types import ModuleType

import psutil
import pytest
import torch

from sweeps.measure.device import environment as environment_module
from sweeps.measure.device.environment import allocator_settings, blas, device_settings, environment
from sweeps.measure.device.host import usable_cpus, version_of
from sweeps.store.schema import TRIALS

CPU = torch.device("cpu")
FILE = Path(environment_module.__file__)


def test_every_entry_is_a_column_and_says_what_is_here() -> None:
    seen = environment(CPU)
    assert set(seen) <= set(TRIALS.names)
    assert seen["torch_version"] == torch.__version__
    assert seen["torchvision_version"] == importlib.metadata.version("torchvision")
    assert seen["python_version"] == platform.python_version()
    assert seen["worker_pid"] == os.getpid()
    assert seen["host_total_bytes"] == psutil.virtual_memory().total
    assert seen["device_total_bytes"] == psutil.virtual_memory().total
    assert seen["driver_version"] is None, "the CPU has none"
    assert seen["allocator_settings"] == allocator_settings(os.environ)
    assert platform.system() in seen["os"]
    assert seen["cudnn_version"] is None, "the CPU needs none"
    assert seen["blas"] == blas(torch.__config__.show())
    assert platform.machine() in seen["os"]


def test_the_library_of_linear_algebra_is_told_as_the_build_tells_it() -> None:
    mkl = """  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for Intel(R) 64 architecture
  - Intel(R) MKL-DNN v3.12.0 (Git Hash 80afa71049cd69a3df32adcccb623b12cd7baa22)
  - Build settings: BLAS_INFO=mkl, BUILD_TYPE=Release"""
    assert blas(mkl) == "mkl 2024.2, oneDNN v3.12.0"
    assert blas("  - Build settings: BLAS_INFO=accelerate, BUILD_TYPE=Release") == "accelerate"
    assert blas("PyTorch built with nothing that it names") is None


def test_what_changes_the_allocator_is_told_and_of_preloaded_libraries_the_name_alone() -> None:
    told = allocator_settings({
        "MALLOC_TRIM_THRESHOLD_": "1", "GLIBC_TUNABLES": "", "LD_PRELOAD": "/home/ann/libjemalloc.so.2 /opt/b.so",
        "PYTORCH_ALLOC_CONF": "expandable_segments:True", "PYTORCH_ENABLE_MPS_FALLBACK": "1", "PATH": "/bin",
    })  # fmt: skip
    assert (
        told == "LD_PRELOAD=libjemalloc.so.2:b.so MALLOC_TRIM_THRESHOLD_=1 PYTORCH_ALLOC_CONF=expandable_segments:True"
    )
    assert allocator_settings({"LD_PRELOAD": "", "HOME": "/root"}) is None


def test_what_changes_how_a_device_computes_is_told_once_and_names_no_folder() -> None:
    told = device_settings({
        "PYTORCH_ENABLE_MPS_FALLBACK": "1", "PYTORCH_MPS_FAST_MATH": "1", "PYTORCH_MPS_PREFER_METAL": "1",
        "PYTORCH_MPS_HIGH_WATERMARK_RATIO": "0.0", "NVIDIA_TF32_OVERRIDE": "0", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
        "CUDNN_LOGDEST_DBG": "/home/ann/log.txt", "KMP_AFFINITY": "", "PATH": "/bin", "MPS": "1", "OMP_NUM_THREADS": "3",
    })  # fmt: skip
    assert told == (
        "CUDNN_LOGDEST_DBG=... NVIDIA_TF32_OVERRIDE=0 ONEDNN_DEFAULT_FPMATH_MODE=BF16 PYTORCH_ENABLE_MPS_FALLBACK=1"
        " PYTORCH_MPS_FAST_MATH=1 PYTORCH_MPS_PREFER_METAL=1"
    )
    assert device_settings({"HOME": "/root"}) is None


def test_threads_are_those_of_now_and_not_of_the_first_cell() -> None:
    before = torch.get_num_threads()
    environment(CPU)
    torch.set_num_threads(before + 1)
    try:
        assert environment(CPU)["n_threads"] == before + 1
    finally:
        torch.set_num_threads(before)


def test_the_host_is_a_hash_that_is_the_same_each_time_unless_its_name_is_asked_for() -> None:
    hidden, named = environment(CPU)["host"], environment(CPU, record_hostname=True)["host"]
    assert named == socket.gethostname()
    assert hidden != named
    assert len(hidden) == 12
    assert int(hidden, 16) >= 0
    assert environment(CPU)["host"] == hidden


def test_neither_user_nor_host_nor_folder_is_in_it() -> None:
    text = json.dumps(environment(CPU), default=str)
    private = [str(Path.home()), str(FILE.parent.parent.parent)]
    private += [name for name in (getpass.getuser(), socket.gethostname()) if len(name) > 4]
    assert [word for word in private if word in text] == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_cpus_are_those_that_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    assert usable_cpus() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init", "-q")
    (tmp_path / "notes.txt").write_text("somebody's own\n")
    git(tmp_path, "add", "notes.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def copy_of_the_module(folder: Path) -> ModuleType:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(FILE, folder / FILE.name)
    spec = importlib.util.spec_from_file_location("a_copy", folder / FILE.name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_commit_is_that_of_the_checkout_that_ran_with_a_plus_if_it_was_changed(checkout: Path) -> None:
    module = copy_of_the_module(checkout / "measure")
    git(checkout, "add", "measure")
    git(checkout, "commit", "-q", "-m", "second")
    head = git(checkout, "rev-parse", "--short=12", "HEAD")
    assert module._git_commit() == head
    (checkout / "new.txt").write_text("a file that is not tracked changes nothing\n")
    module._git_commit.cache_clear()
    assert module._git_commit() == head
    (checkout / "notes.txt").write_text("changed\n")
    module._git_commit.cache_clear()
    assert module._git_commit() == f"{head}+"


def test_a_package_inside_somebody_elses_checkout_is_not_part_of_it(checkout: Path) -> None:
    module = copy_of_the_module(checkout / "venv" / "site-packages" / "measure")
    assert module._git_commit() is None


def test_without_a_checkout_or_git_there_is_no_commit(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = copy_of_the_module(tmp_path.parent / f"{tmp_path.name}-outside")
    assert outside._git_commit() is None
    module = copy_of_the_module(checkout / "measure")
    git(checkout, "add", "measure")
    git(checkout, "commit", "-q", "-m", "second")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert module._git_commit() is None


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert version_of("there-is-no-such-package") is None
    assert version_of("numpy") is not None
