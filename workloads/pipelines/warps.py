"""Affine and perspective as two bilinear samplings, written to be compiled."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch

from workloads.pipelines.composed import Parameters
from workloads.pipelines.taps import Stage, is_cpu

Warp = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Column and row of output pixels to column and row in the input, in pixels."""


def _neighbour(
    x: torch.Tensor, y: torch.Tensor, right: int | torch.Tensor, below: int | torch.Tensor, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Column and row of a pixel beside each position, and its share in a bilinear sample there.

    Args:
        x: Positions, in pixels.
        y: As many.
        right: 0 for the column to the left of the position, 1 for the one to its right.
        below: Likewise for the rows.
        size: Height and width; beyond the edges the share is zero.
    """
    column, row = x.floor() + right, y.floor() + below
    is_inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    share = torch.where(is_inside, (1 - (x - column).abs()) * (1 - (y - row).abs()), 0.0)
    return column.clamp(0, size[1] - 1), row.clamp(0, size[0] - 1), share


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
    """Affine, then perspective, both bilinear, in the form that pays on the device."""
    edge = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
    c = _solve_perspective(edge, p.end_points)
    (a, b, s), (d, e, t) = _inverse_affine(p, height, width).tolist()
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2

    def of_perspective(column: torch.Tensor, row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # torchvision's perspective counts pixels from their corners: half a pixel is added before and taken after.
        x, y = column + 0.5, row + 0.5
        depth = c[6] * x + c[7] * y + 1
        return (c[0] * x + c[1] * y + c[2]) / depth - 0.5, (c[3] * x + c[4] * y + c[5]) / depth - 0.5

    def of_affine(column: torch.Tensor, row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = column - middle_x, row - middle_y
        return a * x + b * y + s + middle_x, d * x + e * y + t + middle_y

    columns = torch.arange(width, device=device, dtype=torch.float32).repeat(height)
    rows = torch.arange(height, device=device, dtype=torch.float32).repeat_interleave(width)
    form = _by_plane if is_cpu(device) else _planes_last
    return form(of_affine, of_perspective, columns, rows, (height, width), dtype)


def _by_plane(
    first: Warp, second: Warp, columns: torch.Tensor, rows: torch.Tensor, size: tuple[int, int], dtype: torch.dtype
) -> list[Stage]:
    """One sampling after the other, a plane of an image at a time: what a CPU's caches hold."""

    def place(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (batch, *first(columns, rows), *second(columns, rows))

    def sampled(flat: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), device=flat.device)
        for right, below in itertools.product((0, 1), (0, 1)):
            column, row, share = _neighbour(x, y, right, below, size)
            total = total + flat.index_select(-1, row.int() * size[1] + column.int()) * share
        return total

    def sample(batch: torch.Tensor, *placed: torch.Tensor) -> torch.Tensor:
        turned = sampled(batch.flatten(2), *placed[:2])
        result: torch.Tensor = (sampled(turned, *placed[2:]) / 255).to(dtype).unflatten(2, size)
        return result

    return [place, sample]


def _planes_last(
    first: Warp, second: Warp, columns: torch.Tensor, rows: torch.Tensor, size: tuple[int, int], dtype: torch.dtype
) -> list[Stage]:
    """Both samplings at once, sixteen pixels for each output, for all planes of all images together.

    Neighbours of a turned image lie in different rows, and an accelerator that reads plane by plane waits for each.
    With the planes innermost the same pixel of all images is one piece of memory. Positions and shares are found once
    for the batch, whose images are warped alike.
    """
    right, below = torch.tensor([[0, 1, 0, 1], [0, 0, 1, 1]], device=columns.device).unsqueeze(2)

    def place(batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        column, row, outer = _neighbour(*second(columns, rows), right, below, size)
        column, row, inner = _neighbour(*first(column, row), right[:, None], below[:, None], size)
        planes_last = batch.flatten(2).permute(2, 0, 1).flatten(1).contiguous()
        pixels = row.int() * size[1] + column.int()
        return planes_last, pixels.flatten(0, 1), (inner * outer / 255).flatten(0, 1)

    def sample(planes_last: torch.Tensor, pixels: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        # Sums of four, each used once: a longer sum would be cut up, and its parts written to memory between.
        total = torch.zeros((), device=planes_last.device)
        for four, their_shares in zip(pixels.split(4), shares.split(4), strict=True):
            part = torch.zeros((), device=planes_last.device)
            for pixel, share in zip(four.unbind(), their_shares.unbind(), strict=True):
                part = part + planes_last.index_select(0, pixel) * share[:, None]
            total = total + part
        result: torch.Tensor = total.to(dtype).T.contiguous().view(-1, 3, *size)
        return result

    return [place, sample]
