"""Calls as JSON: shapes and types of tensors instead of their values, so that a recording is small and portable."""

from __future__ import annotations

from typing import Any

import torch

_PLAIN = (bool, int, float, str, type(None))


class NotPlainError(Exception):
    """An argument that has no form in JSON, such as a function."""


def _name(value: torch.dtype | torch.memory_format) -> str:
    """``float32`` for ``torch.float32``."""
    return str(value).removeprefix("torch.")


def encode(value: Any) -> Any:  # noqa: PLR0911 (one form per kind of argument)
    """An argument as JSON; raises NotPlainError if it has no such form."""
    if isinstance(value, torch.Tensor):
        spec: dict[str, Any] = {"tensor": list(value.shape), "dtype": _name(value.dtype)}
        if not value.is_floating_point() and value.device.type != "meta" and value.numel():
            spec |= {"low": int(value.min()), "high": int(value.max())}
        return spec
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, torch.dtype):
        return {"type": _name(value)}
    if isinstance(value, torch.device):
        return {"device": True}
    if isinstance(value, slice):
        return {"slice": [encode(v) for v in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, torch.memory_format):
        return {"memory_format": _name(value)}
    if isinstance(value, (tuple, list)):
        items = [encode(v) for v in value]
        return {"tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, dict):
        return {"dict": {str(k): encode(v) for k, v in value.items()}}
    raise NotPlainError(type(value).__name__)


def _tensor(spec: dict[str, Any], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """A tensor of a specification: normal numbers in the type asked for, whole numbers within what was seen."""
    kind, shape = getattr(torch, spec["dtype"]), spec["tensor"]
    if kind.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype).requires_grad_()
    if kind == torch.bool:
        return torch.rand(shape, generator=generator) < 0.5
    return torch.randint(spec.get("low", 0), spec.get("high", 0) + 1, shape, generator=generator).to(kind)


def decode(value: Any, dtype: torch.dtype, generator: torch.Generator) -> Any:
    """An argument from JSON, its floating tensors in ``dtype`` and with ``requires_grad``."""
    if isinstance(value, list):
        return [decode(v, dtype, generator) for v in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return _tensor(value, dtype, generator)
    kind, inside = next(iter(value.items()))
    made = {
        "tuple": lambda: tuple(decode(v, dtype, generator) for v in inside),
        "slice": lambda: slice(*(decode(v, dtype, generator) for v in inside)),
        "type": lambda: dtype if inside == "float32" else getattr(torch, inside),
        "device": lambda: torch.device("cpu"),
        "ellipsis": lambda: Ellipsis,
        "memory_format": lambda: getattr(torch, inside),
        "dict": lambda: {k: decode(v, dtype, generator) for k, v in inside.items()},
    }
    return made[kind]()


def n_elements(value: Any) -> int:
    """Elements of all tensors of an encoded argument."""
    if isinstance(value, list):
        return sum(n_elements(v) for v in value)
    if not isinstance(value, dict):
        return 0
    if "tensor" in value:
        return int(torch.Size(value["tensor"]).numel())
    return sum(n_elements(list(v.values()) if isinstance(v, dict) else v) for v in value.values())
