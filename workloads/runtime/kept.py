"""Tensors that take long to compute and follow from what is known, kept on disk from one sweep to the next.

A folder that cannot be written, a file that is damaged or was cut off: the tensors are computed again, without a word.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

FOLDER_VARIABLE = "ACCELSWEEP_CACHE_DIR"
MAX_BYTES = 512 * 2**20
"""Of all files together; beyond it those used longest ago go."""
MAX_FILE_BYTES = 32 * 2**20
_DIGEST_BYTES = 16
_PACKAGES = ("torch", "torchvision", "timm", "efficientnet-lite-pytorch")
Tensors = dict[str, torch.Tensor]


def folder() -> Path:
    """Where the user's caches are, by the system's custom: XDG, macOS, Windows; ``FOLDER_VARIABLE`` names another.

    Raises:
        RuntimeError: The user has no home.
    """
    if named := os.environ.get(FOLDER_VARIABLE):
        return Path(named)
    homes = {
        "darwin": lambda: Path.home() / "Library" / "Caches",
        "win32": lambda: _of("LOCALAPPDATA", "AppData/Local"),
    }
    return homes.get(sys.platform, lambda: _of("XDG_CACHE_HOME", ".cache"))() / "accelsweep"


def _of(variable: str, usual: str) -> Path:
    named = os.environ.get(variable)
    return Path(named) if named else Path.home() / usual


def digest_of(parts: Iterable[object]) -> str:
    """A name for what all these parts decide together: texts, numbers, paths of code, and tensors on the CPU."""
    made = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        if isinstance(part, torch.Tensor):
            made.update(f"{part.dtype} {tuple(part.shape)}".encode())
            values = part.dequantize() if part.is_quantized else part
            made.update(values.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            made.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
        made.update(b"\0")
    return made.hexdigest()


@functools.cache
def versions() -> tuple[str, ...]:
    """What else decides what a network computes: the libraries' versions, and the processor's instructions."""
    found = [torch.backends.cpu.get_cpu_capability()]
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return tuple(found)


def kept(name: str, compute: Callable[[], Tensors]) -> Tensors:
    """Tensors by the name that ``digest_of`` gave to all that decides them; computed where none are kept."""
    try:
        path = folder() / f"{name}.tensors"
        found = _read(path)
    except (OSError, RuntimeError):
        return compute()
    if found is None:
        found = compute()
        with contextlib.suppress(OSError, RuntimeError):
            _write(path, found)
    return found


def _read(path: Path) -> Tensors | None:
    """The tensors of a file that is whole."""
    try:
        content = path.read_bytes()
        digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.blake2b(payload, digest_size=_DIGEST_BYTES).digest() != digest:
            return None
        tensors: Tensors = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        os.utime(path)
    except FileNotFoundError:
        return None
    except Exception:  # whatever a file of another version raises
        return None
    return tensors


def _write(path: Path, tensors: Tensors) -> None:
    """Whole or not at all, whoever writes beside it."""
    held = io.BytesIO()
    torch.save({name: tensor.clone() for name, tensor in tensors.items()}, held)
    payload = held.getvalue()
    if len(payload) > MAX_FILE_BYTES:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_room(path.parent)
    number, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(hashlib.blake2b(payload, digest_size=_DIGEST_BYTES).digest() + payload)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _make_room(where: Path) -> None:
    files = sorted(((f.stat(), f) for f in where.glob("*.tensors")), key=lambda found: -found[0].st_mtime)
    n_bytes = 0
    for status, file in files:
        n_bytes += status.st_size
        if n_bytes > MAX_BYTES - MAX_FILE_BYTES:
            file.unlink(missing_ok=True)
