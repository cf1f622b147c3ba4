"""Which precisions a device really computes in, found out by computing. Names no device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from sweeps.measure.device.errors import is_out_of_memory
from workloads.precision import PRECISIONS, compute_dtype

_TF32_ERROR = 1e-5
"""A product of 256 random terms is within 1e-6 of the exact one in float32, and 1e-4 off in tf32 (10 stored bits)."""


@contextlib.contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Compute float32 matrix products as a precision does, in tf32 or in full; restored at the end."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(PRECISIONS[precision].float32_matmul)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def probe(device: torch.device, precision: str) -> str | None:
    """Why a device does not compute in a precision, or None if it does, by what the table says of the precision."""
    row = PRECISIONS[precision]
    if row.autocast is not None:
        return probe_autocast(device, precision)
    return None if row.float32_matmul == "highest" else probe_tf32(device)


def probe_tf32(device: torch.device) -> str | None:
    """Why a device does not compute float32 products in tf32 when allowed to, or None if it does."""
    with torch.inference_mode(), float32_products("tf32"):
        a = torch.rand(256, 256, generator=torch.Generator().manual_seed(0))
        exact = a.double() @ a.double()
        off = ((a.to(device) @ a.to(device)).cpu().double() - exact).abs().max() / exact.abs().max()
    if float(off) > _TF32_ERROR:
        return None
    return f"tf32 needs hardware that has it (NVIDIA since 2020); allowed to use it, this {device.type} stayed in fp32"


def probe_autocast(device: torch.device, precision: str) -> str | None:
    """Why a device does not compute in a precision of autocast; None if a small convolution and product are right.

    Raises:
        RuntimeError: The device is out of memory, which says nothing about the precision.
    """
    dtype = compute_dtype(precision)
    try:
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype):
            image = torch.ones(1, 3, 8, 8, device=device)
            kernel = torch.ones(4, 3, 3, 3, device=device)
            out = torch.nn.functional.conv2d(image, kernel).flatten(1)
            out = out @ torch.ones(out.shape[1], 4, device=device)
            if out.dtype != dtype:
                return f"{device.type} does not compute in {precision}: autocast left {out.dtype}"
            # 6 x 6 positions of 4 channels, each a sum of 27 ones; both types hold 3888 = 243 x 16 exactly.
            if not bool((out.float() == 3888).all()):
                return f"{device.type} computes wrongly in {precision}: 3888 became {out.float()[0, 0].item():g}"
    except (RuntimeError, NotImplementedError, TypeError) as error:
        if is_out_of_memory(error):
            raise
        return f"{device.type} lacks {precision}: {str(error).splitlines()[0][:150]}"
    return None
