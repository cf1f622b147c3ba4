"""ONNX Runtime: torch.onnx's export, run by the execution provider that the installed wheel has for the device.

On the CPU this was run; CoreML, CUDA and TensorRT follow ONNX Runtime's documentation and have not been.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from workloads.base import UnsupportedError
from workloads.models.runtimes import onnx_types
from workloads.models.runtimes.base import Asked, Ran, Tensors, check_types, counted, exported, own_type
from workloads.runtime.words import in_short

_NAME = "onnxruntime"
_SUFFIX = "ExecutionProvider"
_FOR_ACCELERATORS = ("CoreML", "CUDA")
"""In the order in which they are taken; no wheel has two vendors'."""
_COMPILE = ("CoreML", "Tensorrt")
"""Providers that make one node of many, whose graph cannot be looked at: the answers tell the type."""
_ON_DEVICE = ("CUDA", "Tensorrt")
"""Providers that take tensors where PyTorch has them; the others take the host's and copy by themselves."""
MOST_IN_A_FILE = 2**30
"""Bytes of weights beside which more lie in a file of their own: a model's file has 2 GiB at most."""
_TYPES = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(int64)": torch.int64,
          "tensor(int32)": torch.int32, "tensor(bool)": torch.bool}  # fmt: skip
"""Of outputs, by ONNX Runtime's words."""
_HELD = {"float32": torch.float32, "tf32": torch.float32, "int8": torch.float32, "bfloat16": torch.bfloat16,
         "float16": torch.float16}  # fmt: skip
"""The type of the weights that are exported, by that of the products."""


class OnnxSession:
    """A session; with ``is_bound`` tensors are its inputs and outputs where they are, else the host's memory is."""

    def __init__(self, session: Any, takes: torch.device, ran: Ran, *, is_bound: bool) -> None:
        self.takes, self.ran, self._session, self._is_bound = takes, ran, session, is_bound
        self._inputs = [told.name for told in session.get_inputs()]
        self._outputs = session.get_outputs()

    def run(self, *inputs: torch.Tensor) -> Tensors:
        if self._is_bound:
            return self._run_bound(inputs)
        given = {name: tensor.numpy() for name, tensor in zip(self._inputs, inputs, strict=True)}
        return tuple(map(torch.from_numpy, self._session.run(None, given)))

    def _run_bound(self, inputs: Sequence[torch.Tensor]) -> Tensors:
        """With inputs and outputs in memory of the device, nothing being copied; waits for the device."""
        binding, made = self._session.io_binding(), []
        for name, tensor in zip(self._inputs, inputs, strict=True):
            binding.bind_input(name, *_where(tensor))
        for told in self._outputs:
            made.append(torch.empty(told.shape, device=self.takes, dtype=_TYPES[told.type]))
            binding.bind_output(told.name, *_where(made[-1]))
        if self.takes.type != "cpu":
            torch.accelerator.current_stream(self.takes).synchronize()  # the provider has a stream of its own
        self._session.run_with_iobinding(binding)
        return tuple(made)


def _where(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Device, number, type, shape and address, as bindings take them."""
    import numpy as np

    kind = np.dtype(str(tensor.dtype).removeprefix("torch."))
    return tensor.device.type, tensor.device.index or 0, kind, tuple(tensor.shape), tensor.data_ptr()


def open_session(asked: Asked, prefers: str | None) -> OnnxSession:
    """A session of ONNX Runtime: see ``table.open_session``. ``prefers`` names a provider that must run the network."""
    provider = _provider(asked.device, prefers)
    own = own_type(asked.precision, _NAME)
    if own == "tf32" and provider not in _ON_DEVICE:
        raise UnsupportedError(f"{_NAME} on {provider} has no tf32")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="accelsweep-onnx-") as folder:
        file = _converted(asked, _HELD[own], Path(folder))
        if own == "int8":
            file = _quantised(file, asked, is_symmetric=provider != "CPU")
        converted = time.perf_counter()
        session, optimised = _session(file, asked, provider, own)
        session_s = time.perf_counter() - converted
        types = onnx_types.product_types(optimised) if optimised else ()
    nodes = [part.ep_name.removesuffix(_SUFFIX) for part in session.get_provider_graph_assignment_info()
             for _ in part.get_nodes()]  # fmt: skip
    if provider not in nodes:
        raise UnsupportedError(f"{provider} of onnxruntime takes no node of this network: {counted(nodes)}")
    ran = Ran(
        provider=provider, nodes_by_provider=counted(nodes),
        runtime_settings=f"intra_op_num_threads={asked.n_threads} inter_op_num_threads=1",
        convert_s=converted - began, session_s=session_s, types=types,
    )  # fmt: skip
    check_types(ran, "float32" if own == "tf32" else own, _NAME, asked.precision)
    is_bound = provider in _ON_DEVICE
    return OnnxSession(session, asked.device if is_bound else torch.device("cpu"), ran, is_bound=is_bound)


def _provider(device: torch.device, prefers: str | None) -> str:
    """The provider for a device, without the words that all their names end with."""
    import onnxruntime

    there = [name.removesuffix(_SUFFIX) for name in onnxruntime.get_available_providers()]
    wanted = (prefers,) if prefers else ("CPU",) if device.type == "cpu" else _FOR_ACCELERATORS
    found = next((name for name in wanted if name in there), None)
    if found is None or (prefers and device.type == "cpu"):
        raise UnsupportedError(f"this onnxruntime has no execution provider for {device.type}: {', '.join(there)}")
    return found


def _converted(asked: Asked, dtype: torch.dtype, folder: Path) -> Path:
    """The network in ONNX's format."""
    program, file = exported(asked, dtype), folder / "network.onnx"
    n_bytes = sum(tensor.numel() * tensor.element_size() for tensor in program.state_dict.values())
    try:
        torch.onnx.export(program, (), file, dynamo=True, external_data=n_bytes > MOST_IN_A_FILE, verbose=False)
    except MemoryError:
        raise
    except Exception as error:  # a class for each stage, none of them public
        raise UnsupportedError(f"torch.onnx cannot convert it: {_without_operator(error)}") from error
    return file


def _without_operator(error: BaseException) -> str:
    """The operator that the exporter does not know, else the first of the causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    found = re.search(r"OpOverload\(op='([\w.:]+)', overload='(\w+)'\)", str(error))
    return f"no operator of ONNX for {found[1]}.{found[2]}" if found else in_short(error)


def _quantised(file: Path, asked: Asked, *, is_symmetric: bool) -> Path:
    """The network with 8-bit weights and activations, by ONNX Runtime's static quantisation."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self, names: Sequence[str]) -> None:
            self._batches = iter(asked.calibration())
            self._names = names

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._batches, None)
            return None if batch is None else dict(zip(self._names, (t.numpy() for t in batch), strict=True))

    import onnx

    prepared, made = file.with_stem("prepared"), file.with_stem("quantised")
    quant_pre_process(file, prepared, skip_symbolic_shape=True)  # folds batch normalisation into convolutions
    names = [told.name for told in onnx.load(prepared, load_external_data=False).graph.input]
    kind = quantization.QuantType
    quantization.quantize_static(
        prepared, made, Reader(names), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
        activation_type=kind.QInt8 if is_symmetric else kind.QUInt8, weight_type=kind.QInt8,
        extra_options={"ActivationSymmetric": is_symmetric},
    )  # fmt: skip
    return made


def _session(file: Path, asked: Asked, provider: str, own: str) -> tuple[Any, Path | None]:
    """A session of which the provider runs what it can, and the file of the optimised graph where there is one."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = asked.n_threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    optimised = None if provider in _COMPILE else file.with_stem("optimised")
    if optimised:
        options.optimized_model_filepath = str(optimised)
    try:
        session = onnxruntime.InferenceSession(file, options, providers=_providers(provider, asked, own))
    except Exception as error:  # all are of one module that is not public
        if type(error).__name__ in {"NotImplemented", "InvalidGraph"}:  # no kernel for a type; a type no operator has
            raise UnsupportedError(
                f"onnxruntime on {provider}: {in_short(str(error).split(' failed:')[-1])}"
            ) from error
        raise
    took = session.get_providers()[0].removesuffix(_SUFFIX)
    if took != provider:
        raise UnsupportedError(f"onnxruntime took {took} in the place of {provider}, which did not load")
    return session, optimised


def _providers(provider: str, asked: Asked, own: str) -> list[Any]:
    """Providers by preference, each with its options; what none before it takes is the CPU's."""
    number = {"device_id": str(asked.device.index or 0)}
    options = {
        # MLProgram has more operators than the older format; ALL lets Core ML choose of CPU, GPU and Neural Engine.
        "CoreML": {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"},
        "CUDA": number | {"use_tf32": str(int(own == "tf32"))},
        "Tensorrt": number | {f"trt_{name}_enable": "1" for name, of in
                              (("fp16", "float16"), ("bf16", "bfloat16"), ("int8", "int8")) if of == own},
    }  # fmt: skip
    after = {"Tensorrt": ("CUDA",)}.get(provider, ())
    taken = [(f"{name}{_SUFFIX}", options[name]) for name in (provider, *after) if name in options]
    return [*taken, f"CPU{_SUFFIX}"]
