"""Builds the device's C++ with ``torch.utils.cpp_extension`` on first use, and keeps it by versions and sources."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from filelock import FileLock

SOURCES = Path(__file__).parent / "csrc"
EXTENSION = "fakegpu_c"


def why_not() -> str | None:
    """Why it cannot be built here; None if it can, or has been."""
    if (_folder() / f"{EXTENSION}.so").exists():
        return None
    if sys.platform != "linux":
        return "fakegpu uses glibc's malloc.h"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++")):
        return "fakegpu needs a C++ compiler, and none was found"
    if importlib.util.find_spec("ninja") is None and shutil.which("ninja") is None:
        return "fakegpu needs ninja (pip install ninja)"
    return None


def _folder() -> Path:
    """Where this very source is kept, built for this very torch and Python."""
    told = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        told.update(path.name.encode() + path.read_bytes())
    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or Path.home() / ".cache" / "torch_extensions")
    return root / f"fakegpu-{torch.__version__}-{sys.implementation.cache_tag}-{told.hexdigest()[:12]}"


def _compile(into: Path) -> None:
    from torch.utils import cpp_extension  # a second; needed once

    if importlib.util.find_spec("ninja"):
        import ninja

        os.environ["PATH"] = os.pathsep.join([ninja.BIN_DIR, os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        cpp_extension.load(
            EXTENSION, [str(SOURCES / "fakegpu.cpp")], extra_cflags=["-O1", "-g0", "-Wno-unused"],
            build_directory=folder, with_cuda=False, is_python_module=False, is_standalone=False,
        )  # fmt: skip
        into.mkdir(exist_ok=True)
        os.replace(Path(folder) / f"{EXTENSION}.so", into / f"{EXTENSION}.so")


def built() -> ModuleType:
    """The extension, built now unless it has been."""
    folder = _folder()
    library = folder / f"{EXTENSION}.so"
    if not library.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not library.exists():
                _compile(folder)
    spec = importlib.util.spec_from_file_location(EXTENSION, library)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def operators_of_mps() -> list[str]:
    """The operators that MPS has by the installed torch's own native_functions.yaml; kept, as reading takes seconds."""
    kept = _folder() / "operators"
    if not kept.exists():
        made = kept.with_suffix(f".{os.getpid()}")
        made.write_text("\n".join(sorted(_read_operators())))
        os.replace(made, kept)
    return kept.read_text().split("\n")


def _read_operators() -> set[str]:
    import torchgen
    from torchgen.gen import parse_native_yaml
    from torchgen.model import DispatchKey

    base = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native"
    parsed = parse_native_yaml(str(base / "native_functions.yaml"), str(base / "tags.yaml"))
    kernels = parsed.backend_indices[DispatchKey.MPS]
    by_name = {str(f.func.name): f for f in parsed.native_functions}
    # A structured operator's functional and in-place forms use the kernel of its out form.
    found = {
        f"aten::{name}"
        for name, f in by_name.items()
        if kernels.has_kernel(by_name[str(f.structured_delegate)] if f.structured_delegate else f)
    }
    # Composite in ATen, but one kernel on MPS.
    found |= {"aten::convolution", "aten::convolution_backward"}
    # Registered by hand in ATen/mps/MPSFallback.mm as running on the CPU.
    by_hand = ("embedding_renorm_", "linalg_svd", "linalg_svd.U", "col2im", "upsample_nearest3d.vec")
    return found | {f"aten::{name}" for name in by_hand}
