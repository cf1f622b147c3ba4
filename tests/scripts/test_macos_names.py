"""What scripts/macos_names.py reads: names used in sources, names that a wheel has; no network, nothing is run."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "macos_names.py"
SOURCE = """
def ask(device):
    torch.mps.synchronize()
    release = getattr(torch.accelerator, "empty_host_cache", None)
    if hasattr(torch.backends.mps, "get_name"):
        torch.backends.mps.get_name()
    backend = backend_of(device)
    if hasattr(backend, "memory_stats"):
        backend.memory_stats(device)
    backend_of(device).empty_cache()
    counted("driver_allocated_memory")
    torch.cuda.is_available()
"""


@pytest.fixture(scope="module")
def names() -> ModuleType:
    spec = importlib.util.spec_from_file_location("macos_names", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    file = tmp_path / "torch-9.9.9-macosx.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "torch/mps/__init__.py", "from .event import Event as E\ndef empty_cache(): raise SystemExit\nx = 1\n"
        )
        archive.writestr("torch/backends/mps/__init__.py", "def is_built(): ...\n")
        archive.writestr(
            "torchvision/_C.so", b"\0/src/csrc/ops/mps/nms_kernel.mm\0/src/csrc/ops/mps/roi_align_kernel.mm\0"
        )
    return file


def test_names_are_told_by_how_they_are_used(names: ModuleType) -> None:
    assert {k: v for k, v in names.used_names([SOURCE]).items() if v} == {
        "torch.mps": {"synchronize"},
        "torch.accelerator, asked": {"empty_host_cache"},
        "torch.backends.mps, asked": {"get_name"},
        "asked": {"memory_stats", "empty_cache", "driver_allocated_memory"},
    }


def test_a_wheels_names_are_read_and_what_is_lacking_is_told(names: ModuleType, wheel: Path) -> None:
    assert names.names_in_wheel(wheel)["torch.mps"] == {"E", "empty_cache", "x"}
    lines, is_whole = names.report(wheel, names.used_names([SOURCE]))
    assert not is_whole
    assert lines == [
        "torch-9.9.9-macosx.whl",
        "  torch.accelerator: has all of nothing",
        "    asked, and may be lacking: lacks empty_host_cache",
        "  torch.backends.mps: has all of nothing",
        "    asked, and may be lacking: lacks get_name",
        "  torch.mps: lacks synchronize of synchronize",
        "  any backend is asked, and may lack; torch.mps: has empty_cache; lacks driver_allocated_memory, memory_stats",
    ]
    assert names.report(wheel, {"torch.mps": {"x"}})[1]


def test_torchvisions_own_kernels_are_those_whose_sources_its_library_names(names: ModuleType, wheel: Path) -> None:
    assert names.own_operators(wheel) == ["nms", "roi_align"]


def test_the_exit_code_says_whether_anything_is_lacking(names: ModuleType, wheel: Path, capsys) -> None:
    assert names.main([str(wheel)]) == 1, "this wheel has next to nothing of what our code uses"
    assert "torch.mps: lacks" in capsys.readouterr().out


def test_our_own_code_uses_names_of_each(names: ModuleType) -> None:
    root = SCRIPT.parents[1]
    used = names.used_names(p.read_text() for f in ("sweeps", "workloads") for p in (root / f).rglob("*.py"))
    assert "synchronize" in used["torch.mps"]
    assert "current_accelerator" in used["torch.accelerator"]
    assert "recommended_max_memory" in used["asked"]
