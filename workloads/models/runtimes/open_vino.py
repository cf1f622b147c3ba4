"""OpenVINO on the CPU: its own conversion of what torch.export gives, and NNCF as its quantiser."""

from __future__ import annotations

import contextlib
import io
import re
import time
from importlib.util import find_spec
from typing import Any

import torch

from workloads.base import UnsupportedError
from workloads.models.runtimes.base import Asked, Ran, Tensors, check_types, exported, most_first, own_type
from workloads.runtime.words import in_short

_NAME = "openvino"
_HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
"""The precision hint by the products' type; the rest of a quantised graph is computed in float32."""
_TYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "i8": "int8", "u8": "int8"}
_PRODUCTS = {"Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul", "Gemm", "MHA",
             "ScaledDotProductAttention"}  # fmt: skip
"""Kinds of node of the runtime's graph that compute products."""
_OPERATIONS = re.compile(r"-- (No conversion rule found for operations: .+|Conversion is failed for: .+)")
"""What its front end says in the middle of a long report."""
_TOLD = ("PERFORMANCE_HINT", "NUM_STREAMS", "INFERENCE_NUM_THREADS", "INFERENCE_PRECISION_HINT")


class OpenVinoSession:
    """A compiled model with one request, run to its end by each call."""

    def __init__(self, compiled: Any, ran: Ran) -> None:
        self.takes, self.ran = torch.device("cpu"), ran
        self._request = compiled.create_infer_request()

    def run(self, *inputs: torch.Tensor) -> Tensors:
        found = self._request.infer([tensor.numpy() for tensor in inputs], share_inputs=True)
        return tuple(torch.from_numpy(array) for array in found.values())


def open_session(asked: Asked, prefers: str | None) -> OpenVinoSession:
    """A session of OpenVINO: see ``table.open_session``."""
    import openvino as ov

    if asked.device.type != "cpu":
        raise UnsupportedError(f"openvino runs on the CPU here; it is not tied to {asked.device.type}")
    own = own_type(asked.precision, _NAME)
    if own not in _HINTS:
        raise UnsupportedError(f"openvino has no {asked.precision} on the CPU")
    began = time.perf_counter()
    model = _converted(asked)
    if own == "int8":
        model = _quantised(model, asked)
    converted = time.perf_counter()
    settings = {
        "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": asked.n_threads,
        "INFERENCE_PRECISION_HINT": _HINTS[own],
    }  # fmt: skip
    compiled = ov.Core().compile_model(model, "CPU", settings)
    nodes = [_told(node) for node in compiled.get_runtime_model().get_ordered_ops()]
    ran = Ran(
        provider="CPU", nodes_by_provider=f"CPU {len(nodes)}",
        runtime_settings=" ".join(f"{name}={_word(compiled.get_property(name))}" for name in _TOLD),
        convert_s=converted - began, session_s=time.perf_counter() - converted,
        types=most_first(_TYPES.get(kind, kind) for layer, kind in nodes if layer in _PRODUCTS),
    )  # fmt: skip
    check_types(ran, own, _NAME, asked.precision)
    return OpenVinoSession(compiled, ran)


def _converted(asked: Asked) -> Any:
    import openvino as ov

    try:
        model = ov.convert_model(exported(asked))
        # The conversion forgets the shapes, which the export fixed; kernels for any shape are slower.
        model.reshape({port: list(given.shape) for port, given in zip(model.inputs, asked.examples, strict=True)})
        return model
    except UnsupportedError:
        raise
    except Exception as error:  # of classes that its front ends do not promise
        named = _OPERATIONS.search(str(error))
        raise UnsupportedError(f"openvino cannot convert it: {in_short(named[1] if named else error)}") from error


def _quantised(model: Any, asked: Asked) -> Any:
    if find_spec("nncf") is None:
        raise UnsupportedError("OpenVINO's quantiser, nncf, is not installed: pip install 'accelsweep[openvino]'")
    import nncf

    batches = [tuple(tensor.numpy() for tensor in batch) for batch in asked.calibration()]
    with contextlib.redirect_stdout(io.StringIO()):  # bars of its progress
        return nncf.quantize(model, nncf.Dataset(batches), subset_size=len(batches))


def _told(node: Any) -> tuple[str, str]:
    """The kind of a node of the runtime's graph, and the type it computes in."""
    info = node.get_rt_info()
    return tuple(str(info[name].astype(str)) if name in info else "" for name in ("layerType", "runtimePrecision"))  # type: ignore[return-value]


def _word(value: Any) -> str:
    return str(getattr(value, "name", value)).removeprefix("<Type: '").removesuffix("'>")
