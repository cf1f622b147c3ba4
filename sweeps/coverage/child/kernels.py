"""What a backend of torch has a kernel for, by the list that torch's own code generator reads; nothing is run.

``native_functions.yaml`` lies in every wheel of torch, whatever its system (``torchgen/packaged``). It names the kernel
of each operator for each backend, and which operators are composites of others. It does not say which types a kernel
takes, what a composite calls, nor that a kernel is right. Imports torchgen, not torch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

KERNEL, COMPOSITE, MISSING, UNLISTED = "kernel", "composite", "missing", "unlisted"
MIN_KERNELS = 500
"""A backend with fewer names has its kernels elsewhere, in a package of its own."""
VISION = {
    "MPS": ("deform_conv2d", "nms", "ps_roi_align", "ps_roi_pool", "roi_align", "roi_pool"),
    "CUDA": ("deform_conv2d", "nms", "ps_roi_align", "ps_roi_pool", "roi_align", "roi_pool"),
    "CPU": ("deform_conv2d", "nms", "ps_roi_align", "ps_roi_pool", "roi_align", "roi_pool"),
}
"""torchvision's operators with a kernel for a backend, each with its gradient but for nms, which has none.

For MPS what torchvision 0.29.1's wheel for macOS was built from (``csrc/ops/mps``), as ``scripts/macos_names.py`` reads
it; for the others what every build has.
"""
LACKING_DTYPES = {"MPS": ("float64", "complex128")}
"""Types that a backend has no tensors of: what computes in one fails, kernel or not."""


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """The kernels of one backend of the installed torch."""

    backend: str
    names: dict[str, str]
    """By operator of the list, such as ``aten::add.Tensor``: kernel, composite or missing."""

    @property
    def said(self) -> str:
        """What every line of a prediction says."""
        return f"predicted from torch {version('torch')}'s kernels, not run"

    def kind(self, operator: str) -> str:
        """KERNEL, COMPOSITE or MISSING; UNLISTED for an operator that is in no list.

        Args:
            operator: As the dispatcher names it, such as ``aten::relu``.
        """
        package, _, rest = operator.partition("::")
        if package == "torchvision":
            stem = rest.partition(".")[0].removeprefix("_").removesuffix("_backward")
            return KERNEL if stem in VISION.get(self.backend, ()) else MISSING
        return self.names.get(operator, UNLISTED)

    def lacks(self, dtypes: Iterable[str]) -> list[str]:
        """Those of the types that the backend has no tensors of."""
        return sorted(set(dtypes) & set(LACKING_DTYPES.get(self.backend, ())))


@functools.cache
def _listed() -> Any:
    """The list as torchgen parses it, functions that it generates included; under a second."""
    import torchgen
    from torchgen.gen import parse_native_yaml

    folder = Path(torchgen.__file__).parent / "packaged" / "ATen" / "native"
    return parse_native_yaml(str(folder / "native_functions.yaml"), str(folder / "tags.yaml"))


def predictable_devices() -> tuple[str, ...]:
    """Devices whose kernels the list names, by torch's name of the device."""
    plain = {str(key): len(index.index) for key, index in _listed().backend_indices.items()}
    return tuple(sorted(key.lower() for key, n in plain.items() if n >= MIN_KERNELS and "Composite" not in key))


@functools.cache
def kernels_of(device: str) -> Kernels:
    """The kernels for one of ``predictable_devices``."""
    from torchgen.model import DispatchKey

    listed, key = _listed(), DispatchKey.parse(device.upper())
    index = listed.backend_indices[key].index
    by_name = {function.func.name: function for function in listed.native_functions}

    def kind(function: Any) -> str:
        # A structured function's kernel is that of its out variant.
        if function.func.name in index or function.structured_delegate in index:
            return KERNEL
        delegate = by_name.get(function.structured_delegate, function)
        is_composite = function.has_composite_kernel or delegate.has_composite_kernel
        return COMPOSITE if is_composite else MISSING

    names = {f"{f.namespace}::{name}": kind(f) for name, f in by_name.items()}
    return Kernels(backend=device.upper(), names=names)
