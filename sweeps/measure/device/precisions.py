"""Which precisions a device really computes in, found out by computing. Names no device."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import torch

from sweeps.measure.device.errors import is_out_of_memory
from workloads.base import UnsupportedError
from workloads.precision import PRECISIONS, apply_precision, autocast, compute_dtype, held_dtype, rest_dtype
from workloads.runtime.words import in_short

_TF32_ERROR = 1e-5
"""A product of 256 random terms is within 1e-6 of the exact one in float32, and 1e-4 off in tf32 (10 stored bits)."""


@contextlib.contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Compute float32 products, convolutions too, as a precision does, in tf32 or in full; restored at the end."""
    before, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    apply_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = convolutions


def probe(device: torch.device, precision: str) -> str | None:
    """Why a device does not compute in a precision, or None if it does, by what the table says of the precision."""
    row = PRECISIONS[precision]
    if row.quantised is not None:
        return probe_quantised(device, precision)
    if row.lowered is not None:
        return probe_lowered(device, precision)
    return None if row.float32_matmul == "highest" else probe_tf32(device)


def probe_tf32(device: torch.device) -> str | None:
    """Why a device does not compute float32 products in tf32 when allowed to, or None if it does."""
    if not product_errors(device, "tf32")["matrix product"] <= _TF32_ERROR:
        return None
    told = f"this {device.type} stayed in fp32 although tf32 was allowed"
    return f"tf32 needs hardware that supports it (NVIDIA since 2020); {told}"


def probe_quantised(device: torch.device, precision: str) -> str | None:
    """Why a device has no quantised layers, or None if a small one is right; torchao is imported for it.

    Raises:
        RuntimeError: The device is out of memory, which says nothing about the precision.
    """
    from workloads.models.quantising.layers import quantise_layers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer, inputs = torch.nn.Sequential(torch.nn.Linear(64, 64)), torch.rand(32, 64)
    exact = layer(inputs).detach()
    try:
        layer, inputs = layer.to(device, rest_dtype(device)), inputs.to(device, rest_dtype(device))
        quantise_layers(layer, inputs, precision)
        with torch.inference_mode():
            off = float((layer(inputs).float().cpu() - exact).abs().max() / exact.abs().max())
    except UnsupportedError as error:
        return str(error)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        return f"{device.type} lacks {precision}: {in_short(str(error))}"
    allowed = PRECISIONS[precision].tolerance
    return None if off <= allowed else f"{device.type} computes wrongly in {precision}: off by {off:.2g}"


def product_errors(device: torch.device, precision: str) -> dict[str, float]:
    """How far products of float32 numbers are off when computed as a precision asks, over the largest exact value.

    A matrix product and a convolution, each a sum of some hundred products of random numbers, against float64 on the
    CPU: rounding to float32 alone leaves 1e-6, to ten bits 1e-4.
    """
    generator = torch.Generator().manual_seed(0)
    square, image, kernel = (torch.rand(s, generator=generator) for s in ((256, 256), (1, 64, 16, 16), (64, 64, 3, 3)))
    calls: dict[str, tuple[Callable[..., torch.Tensor], tuple[torch.Tensor, ...]]] = {
        "matrix product": (torch.Tensor.__matmul__, (square, square)),
        "convolution": (torch.nn.functional.conv2d, (image, kernel)),
    }
    errors = {}
    with torch.inference_mode(), float32_products(precision):
        for name, (call, operands) in calls.items():
            exact = call(*(t.double() for t in operands))
            ours = call(*(t.to(device) for t in operands)).cpu().double()
            errors[name] = float((ours - exact).abs().max() / exact.abs().max())
    return errors


@functools.cache
def reduced_float32(device: torch.device) -> str | None:
    """What a device computes with less than float32's precision though asked for the highest; None if nothing."""
    errors = product_errors(device, "fp32")
    told = [f"a {name} is off by {off:.1g}" for name, off in errors.items() if not off <= _TF32_ERROR]
    return f"fp32 is computed with fewer bits here: {' and '.join(told)} of its largest value" if told else None


def probe_lowered(device: torch.device, precision: str) -> str | None:
    """Why a device does not compute in a precision of fewer bits; None if a small convolution and product are right.

    Under autocast, or with operands of the type, as the precision says.

    Raises:
        RuntimeError: The device is out of memory, which says nothing about the precision.
    """
    dtype, held = compute_dtype(precision), held_dtype(precision)
    try:
        with torch.inference_mode(), autocast(device, precision):
            image = torch.ones(1, 3, 8, 8, device=device, dtype=held)
            kernel = torch.ones(4, 3, 3, 3, device=device, dtype=held)
            out = torch.nn.functional.conv2d(image, kernel).flatten(1)
            out = out @ torch.ones(out.shape[1], 4, device=device, dtype=held)
            if out.dtype != dtype:
                return f"{device.type} does not compute in {precision}: the result is {out.dtype}"
            # 6 x 6 positions of 4 channels, each a sum of 27 ones; both types hold 3888 = 243 x 16 exactly.
            if not bool((out.float() == 3888).all()):
                return f"{device.type} computes wrongly in {precision}: 3888 became {out.float()[0, 0].item():g}"
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        return f"{device.type} lacks {precision}: {in_short(str(error))}"
    return None
