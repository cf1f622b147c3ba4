"""Affine and perspective as two bilinear samplings, written to be compiled."""

from __future__ import annotations

import math

import torch

from workloads.pipelines import Parameters
from workloads.taps import Stage


def _sample(flat: torch.Tensor, x: torch.Tensor, y: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Bilinear samples at pixel positions of images whose pixels are the last axis; zero beyond the edges."""
    left, top = x.floor(), y.floor()
    total = torch.zeros((), device=flat.device)
    for column, share_x in ((left, left + 1 - x), (left + 1, x - left)):
        for row, share_y in ((top, top + 1 - y), (top + 1, y - top)):
            is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = row.clamp(0, height - 1).int() * width + column.clamp(0, width - 1).int()
            total = total + flat.index_select(-1, index) * torch.where(is_inside, share_x * share_y, 0.0)
    return total


def _solve_perspective(start: list[list[int]], end: list[list[int]]) -> list[float]:
    """The eight coefficients that send the end points to the start points (least squares, as torchvision does)."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(end, start, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    target = torch.tensor(start, dtype=torch.float64).flatten()
    solved: list[float] = torch.linalg.lstsq(torch.tensor(rows, dtype=torch.float64), target).solution.tolist()
    return solved


def _inverse_affine(p: Parameters, height: int, width: int) -> torch.Tensor:
    """2 x 3 in float64: where in the input an output pixel lies, both counted from the image's middle.

    Forward it is translate x rotate x shear x scale (torchvision's RSS), here inverted.
    """
    angle, shear = math.radians(p.angle), math.radians(p.shear)
    turn = [
        [math.cos(angle), -math.cos(angle) * math.tan(shear) - math.sin(angle)],
        [math.sin(angle), -math.sin(angle) * math.tan(shear) + math.cos(angle)],
    ]
    inverse = torch.linalg.inv(torch.tensor(turn, dtype=torch.float64) * p.scale)
    move = -inverse @ torch.tensor(p.translate, dtype=torch.float64)
    return torch.cat([inverse, move[:, None]], 1)


def geometric(p: Parameters, height: int, width: int, device: torch.device, dtype: torch.dtype) -> list[Stage]:
    """Affine, then perspective, both bilinear."""
    edge = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    c = _solve_perspective(edge, p.end_points)
    (a, b, s), (d, e, t) = _inverse_affine(p, height, width).tolist()
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    columns = torch.arange(width, device=device, dtype=torch.float32)[None, :]
    rows = torch.arange(height, device=device, dtype=torch.float32)[:, None]

    def place(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, y = columns - middle_x, rows - middle_y
        affine = a * x + b * y + s + middle_x, d * x + e * y + t + middle_y
        # torchvision's perspective counts pixels from their corners: half a pixel is added before and taken after.
        x, y = columns + 0.5, rows + 0.5
        depth = c[6] * x + c[7] * y + 1
        perspective = (c[0] * x + c[1] * y + c[2]) / depth - 0.5, (c[3] * x + c[4] * y + c[5]) / depth - 0.5
        return (batch, *(position.flatten() for position in (*affine, *perspective)))

    def sample(batch: torch.Tensor, *positions: torch.Tensor) -> torch.Tensor:
        turned = _sample(batch.flatten(2), positions[0], positions[1], height, width)
        sampled = _sample(turned, positions[2], positions[3], height, width)
        result: torch.Tensor = (sampled / 255).to(dtype).unflatten(2, (height, width))
        return result

    return [place, sample]
