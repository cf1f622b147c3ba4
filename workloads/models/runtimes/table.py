"""THE table of runtimes: what is to be installed for each, and which file opens its sessions. Imports none of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from workloads.base import BadInputError, UnsupportedError

if TYPE_CHECKING:
    from workloads.models.runtimes.base import Asked, Session

TORCH = "torch"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One runtime.

    Attributes:
        told: What it is, as the option's help says it after the name.
        module: Of this package, whose ``open_session`` makes a session.
        needs: Modules to import, each with the distribution that has it.
        extra: Of ours, which installs them.
        quantiser: Modules that quantise, where they are others.
        prefers: Which of the runtime's own ways to a device is to be taken, where it has several.
    """

    told: str
    module: str
    needs: tuple[str, ...]
    extra: str
    quantiser: tuple[str, ...] = ()
    prefers: str | None = None

    @property
    def lacking(self) -> str | None:
        """What of it is not installed, in words; None where all is."""
        absent = [name for name in self.needs if find_spec(name) is None]
        return f"{', '.join(absent)} not installed: pip install 'accelsweep[{self.extra}]'" if absent else None

    def version(self, *, is_quantised: bool) -> str:
        """Of what runs the network, of what converts it and of what quantises it."""
        return ", ".join(f"{name} {_version(name)}" for name in (*self.needs, *self.quantiser * is_quantised))


_ONNX = ("onnxruntime", "onnx", "onnxscript")
RUNTIMES: dict[str, Runtime] = {
    "onnxruntime": Runtime(
        told="ONNX Runtime, on an accelerator with the execution provider that its wheel has for it",
        module="onnx_runtime", needs=_ONNX, extra="onnxruntime",
    ),
    "onnxruntime-tensorrt": Runtime(
        told="ONNX Runtime by TensorRT", module="onnx_runtime", needs=_ONNX, extra="onnxruntime", prefers="Tensorrt"
    ),
    "openvino": Runtime(
        told="OpenVINO", module="open_vino", needs=("openvino",), extra="openvino", quantiser=("nncf",)
    ),
}  # fmt: skip
"""Every runtime beside PyTorch by its name on the command line."""
NAMES = (TORCH, *RUNTIMES)
HELP = f"Axis: what runs the network. {TORCH}; {'; '.join(f'{name}: {row.told}' for name, row in RUNTIMES.items())}."


def check_installed(name: str) -> None:
    """BadInputError, which names the extra, for a runtime that is not installed here."""
    if name != TORCH and (lacking := RUNTIMES[name].lacking):
        raise BadInputError(f"--runtime {name}: {lacking}")


def open_session(name: str, asked: Asked) -> Session:
    """A session of a runtime beside PyTorch.

    Raises:
        UnsupportedError: The runtime is not installed where this runs, lacks an operator of the network, the precision
            or the device.
    """
    if lacking := RUNTIMES[name].lacking:
        raise UnsupportedError(lacking)
    module = importlib.import_module(f"{__package__}.{RUNTIMES[name].module}")
    session: Session = module.open_session(asked, RUNTIMES[name].prefers)
    return session


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # a wheel of another name, such as onnxruntime-gpu, has the same module
        return str(getattr(importlib.import_module(distribution), "__version__", "of unknown version"))
