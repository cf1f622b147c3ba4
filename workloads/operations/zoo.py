"""What torchvision's models call: every torch function and module of the zoo with the shapes it meets there.

The models run on torch's meta device, which computes shapes and no values, so that the whole zoo takes seconds.
Detectors choose by values what to do next and run on the CPU, one of each kind, on small pictures.
"""

from __future__ import annotations

import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from workloads.operations.base import evenly
from workloads.operations.encoding import NotPlainError, encode, n_elements
from workloads.runtime.meta import ParametersOnMeta
from workloads.runtime.torch_private import is_overload
from workloads.runtime.without_compiler import import_torchvision
from workloads.runtime.words import in_short

MAX_ELEMENTS = 1_500_000
"""Calls on more elements are left out: in float64 on two cores one takes seconds."""
MAX_CALLS = 8
_DETECTORS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn", "fcos_resnet50_fpn", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large",
)  # fmt: skip
SMOKE_MODELS = ("mobilenet_v3_small",)
_IS_DETECTOR = ("rcnn", "retinanet", "fcos", "ssd")
_ONE_SIZE = ("vit", "s3d")  # maxvit and mvit too
_VIDEO = ("r3d", "mc3", "r2plus1d", "s3d", "mvit", "swin3d")
_NO_COMPUTATION = (
    "__get__", "dim", "size", "numel", "is_floating_point", "_assert", "device", "detach", "tolist", "item", "__len__",
    "is_complex", "_has_compatible_shallow_copy_type", "requires_grad_", "__hash__", "__repr__", "__format__", "stride",
    "is_tracing", "is_scripting", "tensor", "__bool__", "__int__", "__float__", "_is_all_true", "data_ptr",
    "is_contiguous", "__iter__", "result_type",
)  # fmt: skip
_CONTAINERS = ("Identity", "Sequential", "ModuleList", "NonDynamicallyQuantizableLinear")


class _Functions(TorchFunctionMode):
    """Notes each torch function called, in ``calls``: name -> encoded calls, each once."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, dict[str, Any]] = defaultdict(dict)

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = function_name(function)
        if name and name.rsplit(".", 1)[-1] not in _NO_COMPUTATION and ".init." not in name:
            _note(self.calls[name], lambda: {"args": encode(tuple(args)), "kwargs": encode(dict(kwargs or {}))})
        return function(*args, **(kwargs or {}))


def function_name(function: Any) -> str | None:
    """A function's public name; None where it has none."""
    if is_overload(function):
        return f"torch.ops.{str(function).replace('::', '.')}"
    name = resolve_name(function)
    return None if name is None or not name.startswith("torch.") or "<" in name else name


def _note(calls: dict[str, Any], encoded: Callable[[], dict[str, Any]]) -> None:
    """Keep a call if it can be written down, has a tensor and is not too large."""
    try:
        call = encoded()
    except NotPlainError:
        return
    if 0 < n_elements([call["args"], call["kwargs"]]) <= MAX_ELEMENTS:
        calls.setdefault(json.dumps(call, sort_keys=True), call)


def constructor_arguments(module: nn.Module) -> dict[str, Any] | None:
    """What a module was made with, read from its attributes; None unless the same module can be made from it."""
    arguments: dict[str, Any] = {}
    for name, parameter in inspect.signature(type(module).__init__).parameters.items():
        if name in {"self", "device", "dtype"} or parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        value = getattr(module, name, parameter.default)
        if name == "bias" or (value is None and parameter.default is True):
            value = value is not None and value is not False
        arguments[name] = value
    try:
        encode(arguments)
        with torch.device("meta"):
            again = type(module)(**arguments)
    except (NotPlainError, TypeError, ValueError, RuntimeError):
        return None
    return arguments if repr(again) == repr(module) else None


def _watch_modules(model: nn.Module, calls: dict[str, dict[str, Any]]) -> None:
    """Note the inputs of each leaf module of torch and torchvision as the model runs."""

    def hook(module: nn.Module, args: Any, kwargs: Any, _: Any) -> None:
        name, arguments = _public_name(type(module)), constructor_arguments(module)
        if name and arguments is not None:
            _note(calls[name], lambda: {"made_with": encode(arguments), "args": encode(args), "kwargs": encode(kwargs)})

    for module in model.modules():
        is_leaf = next(module.children(), None) is None or isinstance(module, nn.MultiheadAttention)
        if is_leaf and _public_name(type(module)) and type(module).__name__ not in _CONTAINERS:
            module.register_forward_hook(hook, with_kwargs=True)


def _public_name(kind: type) -> str | None:
    """The name by which a class of torch or torchvision can be had; None of any other."""
    torchvision = import_torchvision()
    for inside, package in (("torch.nn.modules", nn), ("torchvision.ops", torchvision.ops)):
        if kind.__module__.startswith(inside) and hasattr(package, kind.__name__):
            return f"{package.__name__}.{kind.__name__}"
    return None


def build_untrained(name: str) -> nn.Module:
    """A model of the zoo with random weights, in evaluation mode, on the default device."""
    torchvision = import_torchvision()
    builder = torchvision.models.get_model_builder(name)
    parameters = inspect.signature(builder).parameters
    kwargs: dict[str, Any] = {"weights": None}
    if "weights_backbone" in parameters:
        kwargs["weights_backbone"] = None
    if name in {"googlenet", "inception_v3"}:
        kwargs |= {"init_weights": False, "aux_logits": False}
    if "rcnn" in name or "retinanet" in name or "fcos" in name:
        kwargs |= {"min_size": 160, "max_size": 224}
    model: nn.Module = builder(**kwargs)
    return model.eval()


def model_inputs(name: str, side: int | None = None) -> tuple[Any, ...]:
    """Inputs of a model of the zoo on the default device, of the size its weights were trained at.

    Or of another ``side`` in pixels, but for detectors, which scale their images themselves, and for RAFT and vision
    transformers, which take no smaller ones.
    """
    if is_detector(name):
        return ([torch.rand(3, 160, 192)],)
    if "raft" in name:
        return torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128)
    size = 299 if name == "inception_v3" else 224
    if side is not None and not any(word in name for word in _ONE_SIZE):
        size = side
    if any(word in name for word in _VIDEO):
        return (torch.rand(1, 3, 16, size, size),)
    return (torch.rand(1, 3, size, size),)


def zoo_names() -> list[str]:
    """The zoo less its quantised models, which run on the CPU alone; of the detectors one of each kind."""
    torchvision = import_torchvision()
    names = torchvision.models.list_models(exclude=["quantized*"])
    return [n for n in names if n in _DETECTORS or not is_detector(n)]


def is_detector(name: str) -> bool:
    """Whether a model of the zoo chooses by values what to do next, so that the meta device cannot run it."""
    return any(word in name for word in _IS_DETECTOR)


def on_meta(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    """A model of the zoo with its inputs on the meta device; a detector on the CPU."""
    torch.manual_seed(0)
    with torch.device("cpu" if is_detector(name) else "meta"):
        try:
            model = build_untrained(name)
        except NotImplementedError:  # it reads values while it is built, which the meta device lacks
            with torch.device("cpu"), ParametersOnMeta():
                model = build_untrained(name).to("meta")
        return model, model_inputs(name)


def _record_one(name: str, calls: dict[str, dict[str, Any]]) -> None:
    model, inputs = on_meta(name)
    _watch_modules(model, calls)
    with torch.device("cpu" if is_detector(name) else "meta"), torch.no_grad(), _Functions() as functions:
        model(*inputs)
    for function, found in functions.calls.items():
        calls[function].update(found)


def record_zoo(names: Sequence[str] | None = None) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Run the zoo and note what it calls.

    Returns:
        Encoded calls by function or module, at most MAX_CALLS of each from small to large; and, for models that
        could not be run, why.
    """
    calls: dict[str, dict[str, Any]] = defaultdict(dict)
    failed: dict[str, str] = {}
    for name in zoo_names() if names is None else names:
        try:
            _record_one(name, calls)
        except Exception as error:  # a model that this torch cannot run must not hide the others
            failed[name] = in_short(error)
    chosen = {
        function: evenly(sorted(found.values(), key=lambda c: n_elements([c["args"], c["kwargs"]])), MAX_CALLS)
        for function, found in sorted(calls.items()) if found
    }  # fmt: skip
    return chosen, failed
