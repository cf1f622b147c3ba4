"""Why torchvision's affine and perspective are wrong below fp32: what rounding the sampling grid alone does to pixels.

    python tests/benchmarks/operations/sampling_grid.py

torchvision says where each output pixel is read by a matrix product of the pixels' coordinates, in the image's precision.
Here the images and the sampling stay in fp32 on the CPU, and only the factors and results of those products are rounded
to each precision (tf32 rounds the factors alone, as the hardware does). What differs then is the grid's doing. The figures
to compare are the ``wrong-result`` cells of a sweep on a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent.parent.parent
sys.path.insert(0, str(ROOT))

from torchvision.transforms.v2 import functional as F  # noqa: N812

from workloads.images.photographs import load_photographs
from workloads.pipelines.compared import HEIGHT, WIDTH
from workloads.pipelines.composed import PIPELINES, draw_parameters

Rounding = Callable[[torch.Tensor], torch.Tensor]
TF32_DROPPED_BITS = 13
"""tf32 keeps 10 of float32's 23 bits (NVIDIA A100 white paper)."""


def to_tf32(values: torch.Tensor) -> torch.Tensor:
    """Round to the nearest tf32, ties to even, on the bits of float32."""
    bits = values.contiguous().view(torch.int32)
    half = (1 << (TF32_DROPPED_BITS - 1)) - 1
    nearest = bits + half + ((bits >> TF32_DROPPED_BITS) & 1)
    return (nearest & -(1 << TF32_DROPPED_BITS)).view(torch.float32)


def keeping(values: torch.Tensor) -> torch.Tensor:
    return values


ROUNDINGS: dict[str, tuple[Rounding, Rounding]] = {
    "fp32": (keeping, keeping),
    "tf32": (to_tf32, keeping),
    "fp16": (lambda v: v.half().float(), lambda v: v.half().float()),
    "bf16": (lambda v: v.bfloat16().float(), lambda v: v.bfloat16().float()),
}
"""How each precision rounds the factors and the result of a matrix product."""


@contextmanager
def rounded_products(factors: Rounding, result: Rounding, shifts_px: list[float]) -> Iterator[None]:
    """Round every ``Tensor.bmm`` and tell its result's largest shift in pixels; the first one is affine's grid."""
    exact = torch.Tensor.bmm

    def bmm(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        out, rounded = exact(left, right), result(exact(factors(left), factors(right)))
        shifts_px.append(float(((rounded - out).abs() * torch.tensor([WIDTH / 2, HEIGHT / 2])).max()))
        return rounded

    torch.Tensor.bmm = bmm  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        torch.Tensor.bmm = exact  # type: ignore[method-assign]


def main() -> None:
    photographs = load_photographs(None).images[:2]
    batch = torch.stack([F.resize(image, [HEIGHT, WIDTH], antialias=True) for image in photographs])
    parameters = draw_parameters(HEIGHT, WIDTH, 0)
    reference = PIPELINES["geometric"](batch, parameters, torch.float32)
    print("| grid in | affine's grid shifted by up to (pixels) | largest difference over the largest value | mean |")
    print("| :--- | ---: | ---: | ---: |")
    for name, (factors, result) in ROUNDINGS.items():
        shifts_px: list[float] = []
        with rounded_products(factors, result, shifts_px):
            out = PIPELINES["geometric"](batch, parameters, torch.float32)
        difference, largest = (out - reference).abs(), reference.abs().max()
        print(f"| {name} | {shifts_px[0]:.2f} | {difference.max() / largest:.3f} | {difference.mean() / largest:.4f} |")


if __name__ == "__main__":
    main()
